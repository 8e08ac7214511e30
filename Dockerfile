# The image of the command `litestream`, a drop-in for the original's: ENTRYPOINT litestream, a shell at /bin/sh, root unless
# `--user` says otherwise (then it needs to read the databases' files and to write to a file replica, nothing else; the root
# file system may be read-only).
#
#   docker build -t litestream-node .
#   docker run --rm litestream-node version
#
# Three stages, so that compilers and development packages stay behind.

ARG NODE_IMAGE=node:24-bookworm-slim

# The production dependencies. better-sqlite3 is compiled where no ready-made binary can be had.
FROM ${NODE_IMAGE} AS dependencies
RUN apt-get update \
  && apt-get install --yes --no-install-recommends g++ make python3 \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --no-audit --no-fund \
  && cd node_modules/better-sqlite3 \
  && rm -rf deps src build/Release/obj build/Release/.deps build/Release/obj.target build/Release/test_extension.node

# TypeScript to JavaScript. Nothing of this stage's node_modules is kept, so nothing needs to be compiled for it.
FROM ${NODE_IMAGE} AS compile
WORKDIR /build
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
RUN npm run build

FROM ${NODE_IMAGE}
LABEL org.opencontainers.image.title="litestream-node" \
  org.opencontainers.image.licenses="Apache-2.0"
ENV NODE_ENV=production
WORKDIR /opt/litestream
COPY --from=dependencies /build/node_modules ./node_modules
COPY --from=compile /build/dist ./dist
COPY package.json LICENSE litestream.example.yml ./
RUN chmod 755 dist/cli/main.js \
  && ln -s /opt/litestream/dist/cli/main.js /usr/local/bin/litestream
WORKDIR /
# Node is process 1 here: main.ts handles SIGTERM and SIGINT itself.
ENTRYPOINT ["litestream"]
