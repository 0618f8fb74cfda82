/* Judges photographs with an exported model: judge MODEL PHOTOGRAPH... */

#include <anomaly.h>
#include <stdio.h>

int main(int argc, char **argv) {
  if (argc < 3) {
    fprintf(stderr, "Usage: judge MODEL PHOTOGRAPH...\n");
    return 2;
  }
  anomaly_model *model = anomaly_load(argv[1], NULL);
  if (model == NULL) {
    fprintf(stderr, "error: %s\n", anomaly_message());
    return 1;
  }
  int code = 0;
  for (int i = 2; i < argc; ++i) {
    anomaly_result *result = anomaly_judge_file(model, argv[i]);
    if (result == NULL) {
      fprintf(stderr, "error: %s\n", anomaly_message());
      code = 1;
      continue;
    }
    printf("%-9s  %.4f  %s\n", anomaly_verdict_text(result->verdict), result->score, argv[i]);
    for (size_t k = 0; k < result->region_count; ++k) {
      const anomaly_region *region = &result->regions[k];
      printf("  %d x %d pixels at %d, %d\n", region->width, region->height, region->left, region->top);
    }
    anomaly_free_result(result);
  }
  anomaly_free(model);
  return code;
}
