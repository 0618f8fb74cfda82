#include "jpeg.h"

#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <string>

#include <jpeglib.h>

#include <jerror.h>

#include "error.h"
#include "exif.h"
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

// Which way up the photograph is, by the first of its markers that says so.
int Orientation(const jpeg_marker_struct* marker) {
  for (; marker != nullptr; marker = marker->next) {
    const bool exif = marker->data_length >= 6 && std::memcmp(marker->data, "Exif\0\0", 6) == 0;
    const int found = exif ? OrientationOf(marker->data, marker->data_length) : 0;
    if (found != 0) return found;
  }
  return 1;
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
