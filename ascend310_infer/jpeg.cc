#include "jpeg.h"

#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <opencv2/imgproc.hpp>
#include <string>

#include <jpeglib.h>

#include <jerror.h>

#include "error.h"
#include "pixels.h"

namespace {


// What is kept beside what the library knows.
struct Notes {
  jpeg_error_mgr manager;  // the first member: the library knows this alone
  jmp_buf back;
  int orientation = 1;
  char reason[JMSG_LENGTH_MAX] = "";
};

Notes* Of(j_common_ptr state) { return reinterpret_cast<Notes*>(state->err); }

void Keep(j_common_ptr state) {
  Notes* notes = Of(state);
  if (notes->reason[0] == '\0') notes->manager.format_message(state, notes->reason);
}

void Fail(j_common_ptr state) {
  Keep(state);
  longjmp(Of(state)->back, 1);
}

// Of the warnings, those that say nothing of the pixels do not count.
void Warn(j_common_ptr state, int level) {
  if (level >= 0) return;
  const int code = state->err->msg_code;
  if (code != JWRN_ADOBE_XFORM && code != JWRN_JFIF_MAJOR) Keep(state);
}

// Which way up the photograph is, from 1 to 8 as EXIF counts; 1 where nothing says so.
int Orientation(const jpeg_marker_struct* marker) {
  for (; marker != nullptr; marker = marker->next) {
    const unsigned char* data = marker->data;
    const size_t size = marker->data_length;
    if (size < 14 || std::memcmp(data, "Exif\0\0", 6) != 0) continue;
    const unsigned char* tiff = data + 6;
    const size_t length = size - 6;
    const bool little = tiff[0] == 'I';
    const auto number = [&](size_t at, size_t bytes) {
      uint32_t value = 0;
      for (size_t i = 0; i < bytes && at + i < length; ++i) {
        value |= uint32_t{tiff[at + i]} << 8 * (little ? i : bytes - 1 - i);
      }
      return value;
    };
    const size_t table = number(4, 4);
    const size_t entries = table + 2 <= length ? number(table, 2) : 0;
    for (size_t i = 0; i < entries && table + 2 + 12 * (i + 1) <= length; ++i) {
      const size_t entry = table + 2 + 12 * i;
      if (number(entry, 2) == 0x0112) return static_cast<int>(number(entry + 8, 2));
    }
  }
  return 1;
}

void Turn(int orientation, cv::Mat* image) {
  if (orientation >= 5 && orientation <= 8) cv::transpose(*image, *image);
  if (orientation == 2 || orientation == 6) cv::flip(*image, *image, 1);
  if (orientation == 3 || orientation == 7) cv::flip(*image, *image, -1);
  if (orientation == 4 || orientation == 8) cv::flip(*image, *image, 0);
}

// False where the library has given up, or where going on has no point.
bool Decode(const std::vector<unsigned char>& data, jpeg_decompress_struct* state, Notes* notes, cv::Mat* image) {
  if (setjmp(notes->back) != 0) return false;
  jpeg_create_decompress(state);
  jpeg_mem_src(state, data.data(), data.size());
  jpeg_save_markers(state, JPEG_APP0 + 1, 0xffff);
  jpeg_read_header(state, TRUE);
  notes->orientation = Orientation(state->marker_list);  // the end takes the list away
  if (state->num_components != 4) state->out_color_space = JCS_RGB;
  jpeg_start_decompress(state);
  if (state->output_width > kMostPixels / state->output_height) {
    std::snprintf(notes->reason, sizeof(notes->reason), "of too many pixels");
    return false;
  }
  image->create(static_cast<int>(state->output_height), static_cast<int>(state->output_width),
                CV_8UC(state->output_components));
  while (state->output_scanline < state->output_height && notes->reason[0] == '\0') {
    JSAMPROW row = image->ptr(static_cast<int>(state->output_scanline));
    jpeg_read_scanlines(state, &row, 1);
  }
  if (notes->reason[0] == '\0') jpeg_finish_decompress(state);
  return notes->reason[0] == '\0';
}

struct Reader {
  Reader() {
    state.err = jpeg_std_error(&notes.manager);
    notes.manager.error_exit = Fail;
    notes.manager.emit_message = Warn;
  }
  ~Reader() { jpeg_destroy_decompress(&state); }

  jpeg_decompress_struct state{};
  Notes notes;
};

}  // namespace

bool IsJpeg(const std::vector<unsigned char>& data) {
  return data.size() > 2 && data[0] == 0xff && data[1] == 0xd8 && data[2] == 0xff;
}

cv::Mat DecodeJpeg(const std::vector<unsigned char>& data) {
  Reader reader;
  cv::Mat image;
  if (!Decode(data, &reader.state, &reader.notes, &image)) throw Error(reader.notes.reason);
  if (image.channels() != 3) return {};
  Turn(reader.notes.orientation, &image);
  return image;
}
