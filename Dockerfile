# Copyright The selfsigned-issuer Authors.
# SPDX-License-Identifier: Apache-2.0

# Built by `make image`, with docker, podman or buildah. The build needs .git, from which
# the program's version comes.

# The compiler runs on the machine's own platform, whatever platform the image is for.
FROM --platform=$BUILDPLATFORM docker.io/library/golang:1.26.8 AS build
ARG TARGETOS
ARG TARGETARCH
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/go/pkg/mod \
    --mount=type=cache,target=/root/.cache/go-build \
    GOOS=$TARGETOS GOARCH=$TARGETARCH make build

# Nothing but the program: no shell, no package manager, no CA certificates. The API
# server's CA comes with the ServiceAccount.
FROM scratch
LABEL org.opencontainers.image.title="selfsigned-issuer" \
      org.opencontainers.image.description="An external issuer for cert-manager: certificates that sign themselves" \
      org.opencontainers.image.source="https://github.com/cert-manager/selfsigned-issuer" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /src/bin/selfsigned-issuer /selfsigned-issuer
# By number, so that Kubernetes can see that it is not root.
USER 65532:65532
ENTRYPOINT ["/selfsigned-issuer"]
