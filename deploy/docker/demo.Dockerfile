# The application of the compose files: gunicorn with four workers and a function that is slow on purpose.
ARG BASE_IMAGE=debian:12-slim
FROM ${BASE_IMAGE}
RUN command -v gunicorn >/dev/null || { apt-get update -q && apt-get install -y -q --no-install-recommends gunicorn; }
COPY demo.py /srv/demo.py
WORKDIR /srv
USER 10001
CMD ["gunicorn", "-w", "4", "-b", "0.0.0.0:8000", "--worker-tmp-dir", "/dev/shm", "demo:application"]
