/* Judges photographs with an exported model, from a program of your own.
 *
 *   anomaly_model *model = anomaly_load("bottle.onnx", NULL);
 *   anomaly_result *result = model ? anomaly_judge_file(model, "photo.png") : NULL;
 *   if (result) printf("%s %f\n", anomaly_verdict_text(result->verdict), result->score);
 *   else fprintf(stderr, "%s\n", anomaly_message());
 *   anomaly_free_result(result);
 *   anomaly_free(model);
 *
 * Errors: what fails returns NULL, and anomaly_message() says why in one line. No exception leaves the library.
 *
 * Threads: a model may be used by several threads at once; `at_once` of them run at the same time, others wait for
 * their turn. A message is that of the last call of its own thread. A model is freed when no thread uses it any more;
 * results stay valid after that.
 */
#ifndef ANOMALY_H_
#define ANOMALY_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ANOMALY_API_VERSION 1

#if defined(__GNUC__)
#define ANOMALY_API __attribute__((visibility("default")))
#else
#define ANOMALY_API
#endif

typedef struct anomaly_model anomaly_model;

/* How a model is run. What is 0 or NULL is chosen as anomaly_infer chooses it; see its README.md. */
typedef struct anomaly_options {
  size_t size;           /* sizeof(anomaly_options), so that later versions can add to it */
  const char *device;    /* "cpu", "gpu" or "ascend", which is the usual one of a .mindir */
  int device_id;         /* which GPU or Ascend; with "cpu" 0 */
  const char *precision; /* "f32", "bf16", "int8", or on an Ascend and in TensorRT "f16" */
  int threads;           /* cores to use, at most 1024, as for at_once */
  int at_once;           /* photographs that are judged at the same time, if as many threads ask for it; 0: one */
  const char *roi;       /* folder of masks, for a model that has one for each photograph */
  const char *engine;    /* "openvino", "onnxruntime", "tensorrt" or "lite"; programs that were built before there was
                            this one give the size without it */
} anomaly_options;

typedef enum anomaly_verdict {
  ANOMALY_UNKNOWN = 0, /* the model has no threshold */
  ANOMALY_NORMAL = 1,
  ANOMALY_ANOMALOUS = 2
} anomaly_verdict;

/* A connected place of an anomalous photograph, in its pixels, counted from 0 at the corner above on the left. */
typedef struct anomaly_region {
  int left, top, width, height;
  int64_t area;
  double peak;       /* the largest value of the map */
  double normalised; /* the same on the scale on which 0.5 is the threshold of places */
  int x, y;          /* of the peak */
} anomaly_region;

typedef struct anomaly_result {
  anomaly_verdict verdict;
  double score;
  double normalised; /* 0 to 1, 0.5 at the threshold; not a number where there is none */
  double threshold;  /* not a number where there is none */
  int map_height, map_width;
  const float *map; /* row after row: of the picture that the model saw, or, of a model of tiles, of the photograph */
  size_t region_count;
  const anomaly_region *regions; /* the worst first */
} anomaly_result;

/* The version that the library was built as; what was compiled against another one does not fit it. */
ANOMALY_API int anomaly_api_version(void);

/* An .onnx or .mindir with its .json beside it. `options` may be NULL. */
ANOMALY_API anomaly_model *anomaly_load(const char *path, const anomaly_options *options);

/* What the model runs on, for people. Valid as long as the model. */
ANOMALY_API const char *anomaly_runs_on(const anomaly_model *model);

/* A photograph in a file. */
ANOMALY_API anomaly_result *anomaly_judge_file(anomaly_model *model, const char *path);

/* A photograph in memory: RGB, three bytes a pixel, rows `stride` bytes apart (0: without a gap). They are not kept. */
ANOMALY_API anomaly_result *anomaly_judge_pixels(anomaly_model *model, const uint8_t *rgb, int height, int width,
                                                 size_t stride);

/* Why the last call of this thread failed; "" if it did not. Valid until its next call. */
ANOMALY_API const char *anomaly_message(void);

/* "NORMAL", "ANOMALOUS" or "UNKNOWN". */
ANOMALY_API const char *anomaly_verdict_text(anomaly_verdict verdict);

/* NULL is allowed. */
ANOMALY_API void anomaly_free_result(anomaly_result *result);
ANOMALY_API void anomaly_free(anomaly_model *model);

#ifdef __cplusplus
}
#endif

#endif /* ANOMALY_H_ */
