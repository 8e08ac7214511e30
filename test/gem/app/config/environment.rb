# The smallest Rails application that mounts the gem's dashboard.
require "securerandom"
require "rails"
require "active_model/railtie"
require "active_job/railtie"
require "action_controller/railtie"
require "action_view/railtie"
require "litestream"

class ApplicationController < ActionController::Base
end

class Application < Rails::Application
  config.root = File.expand_path("..", __dir__)
  config.load_defaults 7.1
  config.eager_load = false
  config.secret_key_base = "0" * 64
  config.hosts.clear
  config.consider_all_requests_local = true
  config.logger = Logger.new("/tmp/rails.log")
  config.active_job.queue_adapter = :inline
  config.litestream.username = "admin"
  config.litestream.password = "sesame"
end
Application.initialize! unless Application.initialized?
Application.routes.draw { mount Litestream::Engine, at: "/litestream" }
