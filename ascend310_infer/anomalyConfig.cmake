# find_package(anomaly): the target anomaly::anomaly, whose header is anomaly.h.
include("${CMAKE_CURRENT_LIST_DIR}/anomalyTargets.cmake")
