# Copyright The selfsigned-issuer Authors.
# SPDX-License-Identifier: Apache-2.0

# `make image` builds this with docker, podman or buildah. The build reads the version from .git.

# The compiler runs on the platform of the machine.
FROM --platform=$BUILDPLATFORM docker.io/library/golang:1.26.8@sha256:3c3e25a4da13fd0478eed2df1eb35a0e667094a7124d3993a6a1d30f71c17e79 AS build
ARG TARGETPLATFORM
ARG TARGETOS
ARG TARGETARCH
ARG TARGETVARIANT
# v1.0.0 selects this validated FIPS 140-3 module of Go.
ARG GOFIPS140=off
# The time of the commit is that of the file, so that the image is reproducible.
ARG SOURCE_DATE_EPOCH=0
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/go/pkg/mod \
    --mount=type=cache,target=/root/.cache/go-build \
    GOOS=$TARGETOS GOARCH=$TARGETARCH GOARM=${TARGETVARIANT#v} GOFIPS140=$GOFIPS140 make build BIN=bin/$TARGETPLATFORM && \
    touch --date=@$SOURCE_DATE_EPOCH bin/$TARGETPLATFORM/selfsigned-issuer

# Only the program: no shell, no package manager, no CA certificates. The ServiceAccount has the CA of
# the API server.
FROM scratch
ARG TARGETPLATFORM
ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="selfsigned-issuer" \
      org.opencontainers.image.description="A cert-manager external issuer for self-signed certificates" \
      org.opencontainers.image.url="https://github.com/cert-manager/selfsigned-issuer" \
      org.opencontainers.image.source="https://github.com/cert-manager/selfsigned-issuer" \
      org.opencontainers.image.documentation="https://github.com/cert-manager/selfsigned-issuer/tree/main/docs" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
COPY --from=build /src/bin/$TARGETPLATFORM/selfsigned-issuer /selfsigned-issuer
# A number, so that Kubernetes can check runAsNonRoot.
USER 65532:65532
ENTRYPOINT ["/selfsigned-issuer"]
