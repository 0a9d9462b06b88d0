# light-splade alone: one program, its shipped configs and the demo model.
FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /src/target/release/light-splade /usr/local/bin/light-splade
WORKDIR /work
COPY --from=build /src/config config
COPY --from=build /src/models models
COPY --from=build /src/data data
# Models and data sets from the Hugging Face hub stay in a volume.
ENV HF_HOME=/cache/huggingface
ENTRYPOINT ["light-splade"]
