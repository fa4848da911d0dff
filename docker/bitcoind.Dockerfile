# syntax=docker/dockerfile:1
# bitcoind for regtest, built from source by the same code as for the tests.
#
#   docker build -f docker/bitcoind.Dockerfile -t paywatch-bitcoind .

FROM rust:1.95-bookworm AS build
WORKDIR /source
COPY . .
RUN rm rust-toolchain.toml
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target \
    --mount=type=cache,target=/cache \
    PAYWATCH_CACHE=/cache cargo xtask setup --for nodes \
    && cp /cache/bitcoind-31/bitcoind /bitcoind

FROM debian:bookworm-slim
RUN useradd --uid 65532 bitcoin && install -d -o bitcoin -g bitcoin /var/lib/bitcoind
COPY --from=build /bitcoind /usr/local/bin/bitcoind
USER bitcoin
VOLUME /var/lib/bitcoind
EXPOSE 18443
ENTRYPOINT ["bitcoind", "-datadir=/var/lib/bitcoind"]
