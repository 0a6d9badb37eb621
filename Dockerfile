# The Airflow image: what docker-compose.yaml and the official Helm chart run (helm-values/airflow).
FROM python:3.11-slim-bookworm AS build
WORKDIR /build
COPY requirements.txt ./
RUN python3 -m venv /tmp/uv && /tmp/uv/bin/pip install --no-cache-dir --disable-pip-version-check uv==0.13.8 \
 && /tmp/uv/bin/uv venv --seed --python python3 /opt/venv \
 && VIRTUAL_ENV=/opt/venv /tmp/uv/bin/uv pip install --no-cache --compile-bytecode -r requirements.txt

FROM python:3.11-slim-bookworm
RUN apt-get update && apt-get install -y --no-install-recommends dumb-init libstdc++6 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 50000 --gid 0 --home-dir /opt/airflow --shell /usr/sbin/nologin airflow \
 && install -d -o 50000 -g 0 -m 775 /opt/airflow /opt/airflow/logs
COPY --from=build /opt/venv /opt/venv
COPY --chmod=755 containers/entrypoint /entrypoint
COPY --chmod=755 containers/clean-logs /clean-logs
COPY --chown=50000:0 dags /opt/airflow/dags
COPY --chown=50000:0 plugins /opt/airflow/plugins
COPY --chown=50000:0 include /opt/airflow/include
COPY --chown=50000:0 helm-values /opt/airflow/helm-values
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
CMD ["airflow", "version"]
