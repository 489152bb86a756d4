# syntax=docker/dockerfile:1

FROM rust:1.95-slim-bookworm AS build
# SQLite is compiled from source: a C compiler and libc headers are all it takes.
RUN apt-get update \
 && apt-get install -y --no-install-recommends gcc libc6-dev \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY .cargo .cargo
COPY profile profile
COPY Cargo.toml Cargo.lock build.rs ./
COPY proto proto
COPY src src
COPY examples/programs examples/programs
# Benches are named by Cargo.toml, which cargo reads whole.
COPY benches benches
RUN cargo build --release --locked --bin guerdon

FROM debian:bookworm-slim
# A fixed number, so that volumes can be given to it.
RUN useradd --system --uid 10001 --user-group --no-create-home guerdon \
 && install -d -o guerdon -g guerdon /var/lib/guerdon /etc/guerdon
COPY --from=build /build/target/release/guerdon /usr/local/bin/guerdon
COPY LICENSE /usr/share/doc/guerdon/LICENSE
COPY examples/programs/marlow-bakery.yaml /etc/guerdon/program.yaml
USER guerdon
WORKDIR /var/lib/guerdon
VOLUME /var/lib/guerdon
# Who may call is to be put at /etc/guerdon/credentials.toml, see docs/ACCESS.md: without it the server does not start.
ENV GUERDON_LISTEN=0.0.0.0:7060 \
    GUERDON_PROGRAM=/etc/guerdon/program.yaml \
    GUERDON_CREDENTIALS=/etc/guerdon/credentials.toml \
    GUERDON_DATA=/var/lib/guerdon/guerdon.db \
    GUERDON_LOG_FORMAT=json
EXPOSE 7060

HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 CMD ["guerdon", "health", "--target", "127.0.0.1:7060"]
# Drains on SIGTERM, which is what `docker stop` sends; give it the drain limit: `docker stop --time 25`.
ENTRYPOINT ["guerdon"]
CMD ["serve"]
