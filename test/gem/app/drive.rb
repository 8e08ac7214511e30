# Drives the gem as an application, its operator and its user would, and prints what holds. Ends with status 1 at the first thing that
# does not, after the log of the web server.
require "English"
require "fileutils"
require "open3"
require "sqlite3"

PUMA_LOG = "/tmp/puma.log"
PAGE = "http://127.0.0.1:3000/litestream/"

def check(what)
  result = yield
  raise "gave #{result.inspect}" unless result
  puts "ok   #{what}"
rescue => error
  puts "FAIL #{what}: #{error.class}: #{error.message}", "", (File.read(PUMA_LOG).lines.last(30) if File.exist?(PUMA_LOG))
  exit 1
end

def wait_for(what, seconds = 60)
  deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + seconds
  until (result = yield)
    raise "waited in vain for #{what}" if Process.clock_gettime(Process::CLOCK_MONOTONIC) > deadline
    sleep 0.1
  end
  result
end

def shell(*words)
  out, err, status = Open3.capture3({"NO_COLOR" => "1"}, *words)
  raise "#{words.join(" ")} ended with #{status.exitstatus}: #{out}#{err}" unless status.success?
  out
end

def curl(*words) = shell("curl", "--silent", "--max-time", "30", "--cookie", "/tmp/jar", "--cookie-jar", "/tmp/jar", *words)
def status_of(*words) = curl("--output", "/dev/null", "--write-out", "%{http_code}", *words)
def replicating = `ps -ax -o args`.lines.grep(/litestream replicate/)

FileUtils.mkdir_p("storage")
databases = %w[production production_queue].to_h do |name|
  database = SQLite3::Database.new("storage/#{name}.sqlite3")
  database.execute("PRAGMA journal_mode = wal")
  database.execute("CREATE TABLE posts (title TEXT)")
  [name, database]
end

puma = spawn({"LITESTREAM_IN_PUMA" => "true"}, "puma", "-C", "config/puma.rb", %i[out err] => PUMA_LOG)
at_exit { Process.kill(:KILL, puma) rescue nil }
check("Puma's plugin starts the command, and it replicates") do
  wait_for("three snapshots") { File.read(PUMA_LOG).scan("snapshot written").size == 3 }
  replicating.size == 1
end
databases.each_value { |database| database.execute("INSERT INTO posts VALUES ('one')") }
wait_for("the segments") { File.read(PUMA_LOG).scan("wal segment written").size >= 3 }

require_relative "config/environment"
Commands = Litestream::Commands
paths = ["/app/storage/production.sqlite3", "/app/storage/production_queue.sqlite3"]
check("Commands.databases") do
  Commands.databases == paths.zip(["file,second", "file"]).map { |path, replicas| {"path" => path, "replicas" => replicas} }
end
check("Commands.generations, snapshots, wal") do
  generations = Commands.generations(paths[0])
  snapshots = Commands.snapshots("storage/production.sqlite3")
  generations.map { _1["name"] } == %w[file second] && generations.all? { _1["generation"].match?(/\A\h{16}\z/) } &&
    snapshots.map { _1.slice("replica", "generation") } == generations.map { {"replica" => _1["name"], "generation" => _1["generation"]} } &&
    Commands.wal(paths[0], "-replica" => "second").all? { Integer(_1["size"]) > 0 && DateTime.parse(_1["created"]) }
end
check("Litestream.databases, which the dashboard shows") do
  shown = Litestream.databases
  shown.map { _1["path"] } == ["[ROOT]/storage/production.sqlite3", "[ROOT]/storage/production_queue.sqlite3"] &&
    shown.all? { |database| database["generations"].all? { _1["snapshots"].size == 1 } }
end
check("Litestream.replicate_process finds it with ps") do
  %w[sleeping running idle].include?(Litestream.replicate_process[:status]) && Litestream.replicate_process[:started]
end
check("Commands.restore -o") do
  Commands.restore(paths[0], "-o" => "tmp/copy.sqlite3")
  SQLite3::Database.new("tmp/copy.sqlite3").execute("SELECT title FROM posts") == [["one"]]
end
check("Litestream.verify!") { Litestream.verify!(paths[0], replication_sleep: 3) }
check("VerificationJob, for every database") do
  Litestream.singleton_class.prepend(Module.new { def verify!(path, **) = super(path, replication_sleep: 3) })
  Litestream::VerificationJob.perform_now.size == 2
end
check("a list that fails raises CommandFailedException with the reason") do
  Commands.generations("storage/unknown.sqlite3")
  false
rescue Commands::CommandFailedException => error
  puts "     #{error.message}"
  error.message.tr("\u00a0", " ").include?("Reason: database not found in config: /app/storage/unknown.sqlite3")
end

check("rake litestream:databases") { shell("rake", "litestream:databases").include?("#{paths[0]}") }
%w[generations snapshots wal].each do |task|
  check("rake litestream:#{task}") do
    shell("rake", "litestream:#{task}", "--", "-database=storage/production.sqlite3").lines.size >= 3
  end
end
check("rake litestream:restore") do
  shell("rake", "litestream:restore", "--", "--database=storage/production.sqlite3", "-o=tmp/rake.sqlite3")
  SQLite3::Database.new("tmp/rake.sqlite3").execute("SELECT count(*) FROM posts") == [[1]]
end
check("the gem's own executable") { shell("ruby", "-ractive_support/all", "/gem/exe/litestream", "version").match?(/\Av\d+\.\d+\.\d+\n\z/) }

check("the dashboard asks for a password") { status_of(PAGE) == "401" }
page = curl("--user", "admin:sesame", PAGE)
check("the dashboard shows databases, generations and the process") do
  page.include?("[ROOT]/storage/production.sqlite3") && page.scan(/id="\h{16}"/).size == 3 && page.include?("Started at")
end
check("its button restores a copy") do
  token = page[/name="authenticity_token" value="([^"]+)"/, 1]
  form = ["--data-urlencode", "authenticity_token=#{token}", "--data-urlencode", "database=[ROOT]/storage/production.sqlite3"]
  answer = status_of("--user", "admin:sesame", *form, "#{PAGE}restorations")
  answer == "302" && Dir["storage/production-2*.sqlite3"].size == 1
end

databases["production"].execute("INSERT INTO posts VALUES ('last')")
# The plugin forks twice and signals the process in between: what replicates stays behind when Puma ends, be it the original or this.
check("it outlives Puma's end, as the gem leaves it; a signal ends it, with a last sync") do
  Process.kill(:TERM, puma)
  Process.wait(puma)
  `ps -ax -o pid,args`.lines.grep(/litestream replicate/).each { Process.kill(:INT, _1.to_i) }
  wait_for("the end") { replicating.empty? }
  Commands.restore(paths[0], "-o" => "tmp/last.sqlite3")
  File.read(PUMA_LOG).include?("litestream shut down") &&
    SQLite3::Database.new("tmp/last.sqlite3").execute("SELECT count(*) FROM posts WHERE title = 'last'") == [[1]]
end

def restored?(title)
  copy = "tmp/#{SecureRandom.hex(4)}.sqlite3"
  Commands.restore("/app/storage/production.sqlite3", "-o" => copy)
  SQLite3::Database.new(copy).execute("SELECT count(*) FROM posts WHERE title = ?", [title]) == [[1]]
end

check("rake litestream:replicate, and its end when rake is gone and nobody reads the log") do
  # Rake writes what it reads late, so the replica has to tell how far it is.
  rake = spawn("rake", "litestream:replicate", %i[out err] => "/tmp/rake.log")
  databases["production"].execute("INSERT INTO posts VALUES ('with rake')")
  wait_for("it to replicate") { restored?("with rake") }
  Process.kill(:KILL, rake)
  Process.wait(rake)
  databases["production"].execute("INSERT INTO posts VALUES ('after rake')")
  wait_for("the end") { replicating.empty? }
  restored?("after rake")
end
puts "all hold, with the gem #{Litestream::VERSION}, Rails #{Rails.version}, Puma and Ruby #{RUBY_VERSION}"
