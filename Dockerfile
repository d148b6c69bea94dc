# docker build --tag mixpanel-source .
# docker run --rm --volume mixpanel:/data --env-file mixpanel.env mixpanel-source sync
#
# Settings and credentials come from the environment or from /data/.dlt when a container runs; none is
# in the image.
ARG PYTHON=3.13

FROM python:${PYTHON}-slim AS build
# machine code for any processor of this kind, not only for the one that builds the image
ENV NUMBA_CACHE_DIR=/opt/mixpanel/numba \
    NUMBA_CPU_NAME=generic \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1
WORKDIR /build
RUN python -m venv /opt/mixpanel
COPY LICENSE README.md hatch_build.py pyproject.toml requirements.txt ./
COPY mixpanel_destination mixpanel_destination
COPY mixpanel_sandbox mixpanel_sandbox
COPY mixpanel_source mixpanel_source
ARG EXTRAS=fast,postgres
RUN /opt/mixpanel/bin/pip install --constraint requirements.txt ".[${EXTRAS}]" \
    && /opt/mixpanel/bin/python -m mixpanel_source.decode.scan

FROM python:${PYTHON}-slim
RUN groupadd --gid 10001 mixpanel \
    && useradd --uid 10001 --gid mixpanel --create-home mixpanel \
    && install --directory --owner mixpanel --group mixpanel /data
COPY --from=build /opt/mixpanel /opt/mixpanel
# DESTINATION is what the health check looks at
ENV DESTINATION=duckdb \
    DLT_DATA_DIR=/data/dlt \
    NUMBA_CACHE_DIR=/opt/mixpanel/numba \
    NUMBA_CPU_NAME=generic \
    PATH=/opt/mixpanel/bin:$PATH \
    PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /data
VOLUME /data
# 75: a job has the DuckDB file open
HEALTHCHECK --interval=5m --timeout=1m --start-period=1m \
    CMD ["sh", "-c", "mixpanel-source status --destination $DESTINATION > /dev/null || test $? -eq 75"]
ENTRYPOINT ["mixpanel-source"]
CMD ["sync"]
