# The pipeline on a CPU or, with the NVIDIA container toolkit, on GPUs (`docker run --gpus all`).
#
#   docker build -t hal .
#   docker run --name demo hal && docker cp demo:/home/hal/hal/runs/demo .     the demo, and its report here
#   docker run --rm -it hal bash                                               a shell
#
# Every Python package is of requirements.lock, hashes checked, as after `make install`; pip fetches what builds two of them.
FROM python:3.12-slim-bookworm

# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git make latexmk texlive-latex-extra texlive-fonts-recommended lmodern \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 hal \
    && install --directory --owner=hal --group=hal /home/hal/hal
USER 1000
WORKDIR /home/hal/hal

# The packages first: they change seldom, and this layer is then kept.
COPY --chown=hal requirements.lock ./
RUN python -m venv .venv \
    && .venv/bin/pip install --quiet --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.lock
COPY --chown=hal . .
RUN make install

ENV PATH=/home/hal/hal/.venv/bin:$PATH
CMD ["make", "demo"]
