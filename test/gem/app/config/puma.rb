bind "tcp://127.0.0.1:3000"
threads 1, 2
require_relative "environment"
plugin :litestream if ENV["LITESTREAM_IN_PUMA"]
