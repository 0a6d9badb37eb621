# Two images on the same layers. `airflow`, the default: what docker-compose.yaml and the official Helm chart run (helm-values/airflow).
# `--target standin`: the embedded cloud and the demo.
# python3 may be Debian's in /usr/bin or the official image's in /usr/local.

FROM python:3.11-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends binutils \
 && python3 -m venv /opt/uv && /opt/uv/bin/pip install --no-cache-dir --disable-pip-version-check uv==0.13.8
ENV VIRTUAL_ENV=/opt/venv UV_NO_CACHE=1 UV_LINK_MODE=copy
COPY requirements.txt /build/
# Packages' own tests, headers and debug symbols are a fifth of the size. `*.libs` are not stripped: their makers patched them.
RUN /opt/uv/bin/uv venv --python "$(command -v python3)" /opt/venv \
 && /opt/uv/bin/uv pip install -r /build/requirements.txt \
 && cd /opt/venv/lib/python3.11/site-packages \
 && find pandas scipy numpy pyarrow matplotlib -name tests -type d -prune -exec rm -rf {} + \
 && rm -rf pyarrow/include pyarrow/src numpy/_core/include \
 && find . -name '*.so*' -type f -not -path './*.libs/*' -exec strip --strip-unneeded {} + \
 && { /opt/venv/bin/python -m compileall -q -j 0 . || true; }  # some packages carry templates that are no Python

FROM python:3.11-slim-bookworm AS runtime
RUN apt-get update && apt-get install -y --no-install-recommends dumb-init libstdc++6 \
 && apt-get clean && rm -rf /var/lib/apt/lists/* \
 && useradd --no-log-init --uid 50000 --gid 0 --no-create-home --home-dir /opt/airflow --shell /usr/sbin/nologin airflow \
 && install -d -o 50000 -g 0 -m 775 /opt/airflow /opt/airflow/logs
COPY --from=build /opt/venv /opt/venv
COPY --chmod=755 containers/entrypoint containers/clean-logs containers/healthy /
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/opt/airflow:/opt/airflow/plugins \
    PYTHONUNBUFFERED=1 \
    AIRFLOW_HOME=/opt/airflow \
    AIRFLOW__CORE__LOAD_EXAMPLES=False \
    AIRFLOW__USAGE_DATA_COLLECTION__ENABLED=False \
    ORT_DISABLE_TELEMETRY=1 \
    GX_ANALYTICS_ENABLED=false \
    AZURE_TELEMETRY_DISABLED=1
WORKDIR /opt/airflow
USER 50000:0
ENTRYPOINT ["/usr/bin/dumb-init", "--", "/entrypoint"]

# The training environment is what Azure ML builds as an image: here it is in the embedded cloud's, since a container has no package index.
FROM runtime AS environments
USER root
COPY include/__init__.py /opt/airflow/include/
COPY include/standin/__init__.py /opt/airflow/include/standin/
COPY include/standin/machine_learning /opt/airflow/include/standin/machine_learning
COPY include/workloads /opt/airflow/include/workloads
RUN --mount=from=build,source=/opt/uv,target=/opt/uv \
    PATH=$PATH:/opt/uv/bin EDGELOOP_ENVIRONMENTS=/opt/environments UV_NO_CACHE=1 UV_LINK_MODE=copy \
    python3 include/standin/machine_learning/environments.py \
 && cd /opt/environments && rm -rf */lib/python3.11/site-packages/pyarrow/include \
 && find */lib/python3.11/site-packages/pandas */lib/python3.11/site-packages/scipy */lib/python3.11/site-packages/numpy \
      */lib/python3.11/site-packages/pyarrow */lib/python3.11/site-packages/sklearn -name tests -type d -prune -exec rm -rf {} +

FROM runtime AS standin
USER root
ENV EDGELOOP_HOME=/var/lib/edgeloop EDGELOOP_ENVIRONMENTS=/opt/environments
COPY include/standin/requirements.txt /tmp/standin.txt
RUN --mount=from=build,source=/opt/uv,target=/opt/uv \
    VIRTUAL_ENV=/opt/venv UV_NO_CACHE=1 UV_LINK_MODE=copy /opt/uv/bin/uv pip install --compile-bytecode -r /tmp/standin.txt \
 # Its wheel has Helm's library three times.
 && cd /opt/venv/lib/python3.11/site-packages/helm_python/lib \
 && ln -sf libhelm_c.so libhelm_c.so.0 && ln -sf libhelm_c.so libhelm_c.so.0.2.2 \
 && install -d -o 50000 -g 0 -m 770 /var/lib/edgeloop /keys/airflow /keys/postgres /keys/azurite /keys/registry /keys/k3s /kube
COPY --from=environments /opt/environments /opt/environments
COPY include /opt/airflow/include
COPY dags /opt/airflow/dags
COPY helm-values/scoring /opt/airflow/helm-values/scoring
USER 50000:0
CMD ["python3", "-m", "include.standin", "run", "cloud"]

FROM runtime AS code
COPY include /code/include
USER root
# Of the scorer, promote reads which packages its image has.
RUN cd /code/include && rm -rf standin demo rollout workloads/*/sample && find scoring -type f ! -name requirements.txt -delete

FROM runtime AS airflow
COPY --from=code /code/include /opt/airflow/include
COPY helm-values/scoring /opt/airflow/helm-values/scoring
COPY plugins /opt/airflow/plugins
COPY dags /opt/airflow/dags
CMD ["airflow", "version"]
