# The quick start on a CPU, and a place to train and judge in:
#   docker build -t anomaly .
#   docker run --rm anomaly
#   docker run --rm -v "$PWD/photos:/photos:ro" -v "$PWD/output:/home/user/project/output" anomaly \
#       .venv/bin/python patchcore/train.py --good /photos/good --category lid --backbone efficientnet_lite0 --crop none
# The user in it has the number 1000: a folder that it writes to has to belong to that user.
FROM python:3.11.13-slim-bookworm
SHELL ["/bin/bash", "-o", "pipefail", "-c"]

# MindSpore needs libgomp, which the slim image lacks; Debian keeps one version of it, so there is none to pin.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/*

RUN useradd --create-home --uid 1000 user \
    && install -d -o user -g user /home/user/project
USER 1000
WORKDIR /home/user/project

# First the packages, which seldom change. The stamp of scripts/lib.sh keeps the scripts from installing them again.
COPY --chown=user:user requirements*.txt ./
RUN python -m venv .venv \
    && .venv/bin/python -m pip install --no-cache-dir -r requirements.txt \
    && touch ".venv/.installed-requirements.txt-$(cat requirements*.txt | sha256sum | cut -c1-16)"

COPY --chown=user:user . .
RUN mkdir -p output data

CMD ["bash", "scripts/quickstart.sh"]
