#include "knarr/cli/options.h"

#include <fmt/format.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <map>

#include "knarr/linux/tree.h"

using namespace knarr;
using cli::Options;

namespace {

struct Given {
  std::vector<std::string> arguments;
  std::map<std::string, std::string> environment;
  std::string file;  // the configuration file's text; "" none
};

Result<Options> parse(const Given& given, cli::OptionUse use = cli::kUseServer) {
  char path[] = "/tmp/knarr-options-XXXXXX";
  int fd = mkstemp(path);
  close(fd);
  auto arguments = given.arguments;
  if (!given.file.empty()) {
    REQUIRE(linux::replace_file(path, given.file).ok());
    arguments.insert(arguments.begin(), {"--config", path});
  }
  auto options = Options::parse(use, arguments, [&](const char* name) -> const char* {
    auto it = given.environment.find(name);
    return it == given.environment.end() ? nullptr : it->second.c_str();
  });
  unlink(path);
  return options;
}

}  // namespace

TEST_CASE("what is nearer to the person wins: flag, environment, file, default") {
  struct Case {
    Given given;
    std::string expected;
  };
  const Case cases[] = {
      {{}, "info"},
      {{{}, {}, "log-level: warn"}, "warn"},
      {{{}, {{"KNARR_LOG_LEVEL", "error"}}, "log-level: warn"}, "error"},
      {{{"--log-level", "debug"}, {{"KNARR_LOG_LEVEL", "error"}}, "log-level: warn"}, "debug"},
      {{{"--log-level=debug"}, {}, ""}, "debug"},
  };
  for (const auto& c : cases) {
    auto options = parse(c.given);
    REQUIRE(options.ok());
    CHECK(options->text("log-level") == c.expected);
    CHECK(options->is_set("log-level") == (c.expected != "info"));
  }
}

TEST_CASE("the file takes text, numbers, switches and lists") {
  auto options = parse({{}, {}, "node-name: a\nnode-port: 1234\ndisable-agent: true\ntls-san: [x.test, 10.0.0.1]\n"});
  REQUIRE(options.ok());
  CHECK(options->text("node-name") == "a");
  CHECK(options->text("node-port") == "1234");
  CHECK(options->flag("disable-agent"));
  CHECK(options->text("tls-san") == "x.test,10.0.0.1");
}

TEST_CASE("a file may hold options of other commands") {
  auto options = parse({{}, {}, "listen: ':1'\nlog-level: warn\n"}, cli::kUseStatus);
  REQUIRE(options.ok());
  CHECK(options->text("log-level") == "warn");
  CHECK(options->text("listen").empty());
}

TEST_CASE("switches, positional arguments and the end of options") {
  auto options = parse({{"--disable-agent", "one", "--keep-pods=false", "--", "--two"}, {}, ""});
  REQUIRE(options.ok());
  CHECK(options->flag("disable-agent"));
  CHECK_FALSE(options->flag("keep-pods"));
  CHECK(options->positional() == std::vector<std::string>{"one", "--two"});
}

TEST_CASE("what is wrong is named") {
  struct Case {
    Given given;
    std::string message;
  };
  const Case cases[] = {
      {{{"--nope"}, {}, ""}, "unknown option --nope; see --help"},
      {{{"--server", "x"}, {}, ""}, "unknown option --server; see --help"},  // the agent's, not the server's
      {{{"-x"}, {}, ""}, "unknown option -x; options begin with --"},
      {{{"--data-dir"}, {}, ""}, "--data-dir needs a value: DIR"},
      {{{"--keep-pods=maybe"}, {}, ""}, "command line: keep-pods is a switch; want true or false, not \"maybe\""},
      {{{}, {{"KNARR_KEEP_PODS", "1"}}, ""}, "KNARR_KEEP_PODS: keep-pods is a switch; want true or false, not \"1\""},
  };
  for (const auto& c : cases) {
    auto options = parse(c.given);
    REQUIRE_FALSE(options.ok());
    CHECK(options.status().message() == c.message);
  }
  CHECK(parse({{}, {}, "nope: 1"}).status().message().find("unknown key \"nope\"") != std::string::npos);
  CHECK(parse({{}, {}, "- a"}).status().message().find("want a mapping") != std::string::npos);
}

TEST_CASE("counts") {
  CHECK(parse({}).value().count("pod-max-pids").value() == 0);
  CHECK(parse({{"--pod-max-pids", "64"}, {}, ""}).value().count("pod-max-pids").value() == 64);
  for (const char* wrong : {"-1", "many", "6 4", "99999999999999999999", ""}) {
    auto options = parse({{fmt::format("--pod-max-pids={}", wrong)}, {}, ""});
    REQUIRE(options.ok());
    CHECK(options->count("pod-max-pids").status().message() ==
          fmt::format("--pod-max-pids \"{}\": want a number, 0 or more", wrong));
  }
}

TEST_CASE("listen addresses") {
  struct Case {
    std::string text, address;
    int port;
  };
  const Case cases[] = {
      {"127.0.0.1:6443", "127.0.0.1", 6443}, {"[::1]:80", "::1", 80}, {":1", "0.0.0.0", 1}, {"0", "0.0.0.0", 0}};
  for (const auto& c : cases) {
    auto listen = cli::parse_listen(c.text);
    REQUIRE(listen.ok());
    CHECK(listen->address == c.address);
    CHECK(listen->port == c.port);
  }
  for (const char* bad : {"", "x", "1.2.3.4:", "1.2.3.4:65536", "1.2.3.4:8o"}) CHECK_FALSE(cli::parse_listen(bad).ok());
}
