#ifndef ANOMALY_INFER_SAID_H_
#define ANOMALY_INFER_SAID_H_

#include <string>

// Before anything is opened: no file gets the number of a stream that was closed, and a file that may not grow is an
// error of that file.
void MendStreams();

// From here on a reader of standard output that has gone away ends nothing.
void OutliveReader();

// To standard output, at once, for whoever waits for it. After a failure the rest is dropped.
void Say(const std::string& text);

// Why standard output has not taken all of it; nothing where its reader has gone.
std::string Unsaid();

// A name on one line: as it is, or, where it holds what would be no part of a line, in quotes and with escapes.
std::string Shown(const std::string& name);

#endif  // ANOMALY_INFER_SAID_H_
