# A static binary in an empty image: no shell, no package manager, not root.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
# .git comes along, so that the binary knows its version; the folder may belong to another user.
RUN git config --global --add safe.directory /src \
 && CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o /out/tollgate ./cmd/tollgate \
 && CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o /out/healthcheck ./deploy/healthcheck \
 && mkdir /out/data

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/tollgate /out/healthcheck /
# What the process writes of its own goes here; mount a volume to keep it.
COPY --from=build --chown=65532:65532 /out/data /data
WORKDIR /
USER 65532:65532
ENV TOLLGATE_CONFIG=/etc/tollgate/tollgate.yaml
EXPOSE 8080 8081
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s CMD ["/healthcheck", "http://127.0.0.1:8081/readyz"]
ENTRYPOINT ["/tollgate"]
CMD ["serve"]
