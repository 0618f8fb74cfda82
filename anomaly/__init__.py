"""What is true of every anomaly detector, and of no particular one.

Libraries read some environment variables when they are loaded, so these are given their defaults here, before any
module of this package can import MindSpore or faiss; a value set by the user is left alone.
"""

import os

# On AVX-512 machines oneDNN falls back to a reference convolution that is about 50 times slower.
os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX2")
# Threads that spin after a search would keep the cores from the network's next batch.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# MindSpore's own log: errors only. Its warnings speak of back ends that are not installed.
os.environ.setdefault("GLOG_v", "3")
# Seconds after which processes of one training on CPUs give each other up; one of them may work alone for long.
os.environ.setdefault("MS_CPU_COMM_OP_TIMEOUT", "86400")
