#ifndef ANOMALY_INFER_OPENING_H_
#define ANOMALY_INFER_OPENING_H_

#include <filesystem>
#include <memory>

#include "engine.h"
#include "model_info.h"
#include "settings.h"

// Throws Error for a device, a precision or a number that there is not.
void RequireKnown(const Settings& settings);

// Fills in the device and the number of threads where they are open.
Settings Complete(Settings settings, const std::filesystem::path& model);

// What the .json beside the model says, with what the settings choose otherwise. Throws Error where the model does not
// allow that, or where it needs masks that are not there.
ModelInfo ReadInfo(const std::filesystem::path& model, const Settings& settings);

// The same for pictures that are prepared already, and do not need the masks.
ModelInfo ReadInfoForPrepared(const std::filesystem::path& model, const Settings& settings);

// Throws Error.
std::unique_ptr<Engine> OpenEngine(const std::filesystem::path& model, const ModelInfo& info,
                                   const Settings& settings);

#endif  // ANOMALY_INFER_OPENING_H_
