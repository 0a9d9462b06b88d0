# light-splade alone: one program, its shipped configs and models.
FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
# The image has this toolchain and no other: rust-toolchain.toml must not fetch one.
RUN RUSTUP_TOOLCHAIN="$RUST_VERSION" cargo build --profile dist --locked

FROM debian:bookworm-slim
# The certificates are to be those of the day.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /src/target/dist/light-splade /usr/local/bin/light-splade
COPY --from=build /src/LICENSE /src/docs/contributing/third-party.md /usr/share/doc/light-splade/
COPY --from=build /src/crates/splade-unidic/dictionary/LICENSE.* /usr/share/doc/light-splade/
WORKDIR /work
COPY --from=build /src/config config
COPY --from=build /src/models models
COPY --from=build /src/data data
# Models and data sets from the Hugging Face hub stay in a volume.
ENV HF_HOME=/cache/huggingface
# Of `serve`, which must be told --hostname 0.0.0.0 in a container.
EXPOSE 3000
ENTRYPOINT ["light-splade"]
