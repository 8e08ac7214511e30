# The image of the command `litestream`, a drop-in for the original's: ENTRYPOINT litestream, a shell at /bin/sh, root unless
# `--user` says otherwise (then it needs to read the databases' files and to write to a file replica, nothing else; the root
# file system may be read-only).
#
#   docker build -t litestream-node .
#   docker run --rm litestream-node version
#
# Three stages, so that compilers, npm's cache and development packages stay behind. docs/image.md tells what is in it and how big.

ARG NODE_IMAGE=node:24-bookworm-slim

# The production dependencies, native modules compiled where no ready-made binary can be had; of packages only what runs: no
# types, source maps, ES module twins of what is loaded as CommonJS, documents, tests, objects of the compiler. Licences stay.
FROM ${NODE_IMAGE} AS dependencies
RUN apt-get update \
  && apt-get install --yes --no-install-recommends g++ make python3 tini \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --no-audit --no-fund
COPY docker/image/prune.mjs ./
RUN node prune.mjs

# TypeScript to JavaScript. Nothing of this stage's node_modules is kept, so nothing needs to be compiled for it.
FROM ${NODE_IMAGE} AS compile
WORKDIR /build
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY build ./build
COPY src ./src
RUN npm run build && find dist -name '*.ts' -delete

FROM ${NODE_IMAGE}
LABEL org.opencontainers.image.title="litestream-node" \
  org.opencontainers.image.licenses="Apache-2.0"
ENV NODE_ENV=production
WORKDIR /opt/litestream
COPY --from=dependencies /usr/bin/tini /usr/bin/tini
COPY --from=dependencies /build/node_modules ./node_modules
COPY --from=compile /build/dist ./dist
COPY package.json LICENSE litestream.example.yml ./
COPY docker/image/litestream.cjs ./bin/litestream
COPY docker/image/litestream.sh /usr/local/bin/litestream
RUN chmod 755 bin/litestream /usr/local/bin/litestream
WORKDIR /
ENTRYPOINT ["litestream"]
