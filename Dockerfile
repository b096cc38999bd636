# Three images: `serve` runs the service (OpenVINO, no TensorFlow), `train` also trains on the CPU, `gpu` does both on an
# NVIDIA GPU, or on the CPU if it finds none.

# `make pin-images` writes the digests here; it needs access to the registry.
ARG PYTHON_IMAGE=python:3.12-slim-bookworm
ARG DEBIAN_IMAGE=debian:bookworm-slim

FROM ${PYTHON_IMAGE} AS tools
WORKDIR /build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN apt-get update -qq \
    && apt-get install -y -qq --no-install-recommends binutils \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* \
    && python -m venv --without-pip /opt/catdog

FROM tools AS build
# `storage` adds the library for versions and pictures in an object store, 15 MB: docker build --build-arg PACKAGES=storage
ARG PACKAGES=postgres
COPY requirements/${PACKAGES}.txt requirements/
# Removes what is never used here: the libraries of the command `catdog`, for containers run `python -m app`; OpenVINO's
# other devices and frontends, other databases, tests, sources, and debug symbols (12 MB in uvloop alone).
RUN pip --python /opt/catdog install --require-hashes -r requirements/${PACKAGES}.txt \
    && pip --python /opt/catdog uninstall --yes --quiet typer rich pygments markdown-it-py mdurl shellingham \
    && find /opt/catdog -path '*/openvino/libs/*' \( -name '*_gpu_plugin.so' -o -name '*_npu_plugin.so' -o -name cache.json \
        -o -name '*_frontend.so*' ! -name '*_ir_frontend.so*' \) -delete \
    && find /opt/catdog -path '*/openvino/frontend/*' -name 'py_*_frontend.*.so' -delete \
    && find /opt/catdog \( -path '*/numpy/*' -o -path '*/h5py/*' \) -name tests -prune -exec rm -r {} + \
    && find /opt/catdog \( -path '*/sqlalchemy/testing' -o -path '*/alembic/testing' -o -path '*/alembic/templates' \
        -o -path '*/mako/testing' -o -path '*/openvino/tools' \) -prune -exec rm -r {} + \
    && find /opt/catdog -path '*/sqlalchemy/dialects/*' \( -name mssql -o -name mysql -o -name oracle \) -prune -exec rm -r {} + \
    && find /opt/catdog \( -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.h' -o -name '*.hpp' -o -name '*.c' \) -delete \
    && find /opt/catdog \( -path '*/uvloop/*.so' -o -path '*/sqlalchemy/*.so' -o -path '*/PIL/*.so' -o -path '*/yaml/*.so' \
        -o -path '*/greenlet/*.so' \) -exec strip --strip-debug {} +

# Only SciPy imports numpy's Fortran interface, and only training needs SciPy.
FROM build AS build-serve
RUN find /opt/catdog -path '*/numpy/f2py' -prune -exec rm -r {} +

FROM build AS build-train
COPY requirements/train.txt requirements/
RUN pip --python /opt/catdog install --require-hashes -r requirements/train.txt

FROM build AS build-gpu
COPY requirements/gpu.txt requirements/
RUN pip --python /opt/catdog install --require-hashes -r requirements/gpu.txt

# ImageNet's weights for an offline trainer: docker build --build-arg IMAGENET_WEIGHTS=yes; otherwise an empty folder.
FROM ${PYTHON_IMAGE} AS imagenet
WORKDIR /srv/catdog
COPY catdog/__init__.py catdog/errors.py catdog/faults.py catdog/
COPY catdog/system/__init__.py catdog/system/durable.py catdog/system/
COPY training/data/__init__.py training/data/imagenet.py training/data/resumable_fetch.py training/data/
COPY training/__init__.py training/
ARG IMAGENET_WEIGHTS=
RUN mkdir /imagenet && if [ -n "${IMAGENET_WEIGHTS}" ]; then \
        python -c "from pathlib import Path; from training.data import imagenet; imagenet.weights_file(Path('/imagenet'))"; fi

# Compiled to bytecode here, because the container's file system is read-only.
FROM tools AS code
WORKDIR /srv/catdog
COPY catdog catdog
COPY app app
COPY training training
RUN python -m compileall -q .

# Python without the files that are needed only for building: pip, headers, the static library.
FROM tools AS python
RUN rm -rf /usr/local/include /usr/local/bin/pip* /usr/local/lib/python3*/config-* /usr/local/lib/python3*/site-packages/* \
        /usr/local/lib/python3*/ensurepip /usr/local/lib/python3*/idlelib /usr/local/lib/python3*/lib2to3 \
        /usr/local/lib/python3*/test /usr/local/lib/python3*/tkinter /usr/local/lib/python3*/turtledemo \
    && find /usr/local/lib -name '*.so*' -type f -exec strip --strip-unneeded {} +

FROM ${DEBIAN_IMAGE} AS base
RUN apt-get update -qq \
    && apt-get install -y -qq --no-install-recommends ca-certificates libbz2-1.0 libexpat1 libffi8 liblzma5 \
        libncursesw6 libreadline8 libsqlite3-0 libssl3 libuuid1 netbase tzdata zlib1g \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* \
    && useradd --uid 10001 --no-create-home --home-dir /tmp catdog \
    && install -d -o catdog -g catdog /srv/catdog/models /srv/catdog/data
COPY --from=python /usr/local /usr/local
RUN ldconfig
WORKDIR /srv/catdog
ENV PATH=/opt/catdog/bin:$PATH PYTHONUNBUFFERED=1 CATDOG_HOST=0.0.0.0 KERAS_HOME=/tmp/keras MPLCONFIGDIR=/tmp/matplotlib
EXPOSE 8000
STOPSIGNAL SIGTERM
USER 10001:10001
CMD ["python", "-m", "app"]
HEALTHCHECK --interval=5s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-Ic", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/health/ready', timeout=4)"]
ARG VERSION=unreleased
LABEL org.opencontainers.image.title="catdog" \
      org.opencontainers.image.description="Tells cats from dogs in photos, and retrains itself on yours" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}"
# Docker copies this folder, with its owner, into a new volume.
COPY --chown=catdog models/1 models/1

FROM base AS serve
COPY --from=build-serve /opt/catdog /opt/catdog
COPY --from=code /srv/catdog/catdog catdog
COPY --from=code /srv/catdog/app app

FROM base AS train
ARG IMAGENET_WEIGHTS=
ENV CATDOG_IMAGENET_WEIGHTS=${IMAGENET_WEIGHTS:+/srv/catdog/imagenet/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5}
COPY --from=imagenet /imagenet imagenet
COPY --from=build-train /opt/catdog /opt/catdog
COPY --from=code /srv/catdog .
COPY models/slim.zip .

FROM base AS gpu
ENV CATDOG_ENGINE=auto
ARG IMAGENET_WEIGHTS=
ENV CATDOG_IMAGENET_WEIGHTS=${IMAGENET_WEIGHTS:+/srv/catdog/imagenet/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5}
COPY --from=imagenet /imagenet imagenet
COPY --from=build-gpu /opt/catdog /opt/catdog
COPY --from=code /srv/catdog .
COPY models/slim.zip .
