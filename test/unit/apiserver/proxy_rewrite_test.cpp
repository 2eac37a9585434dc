#include "apiserver/proxy_rewrite.h"

#include <catch2/catch.hpp>

using namespace knarr::apiserver;

namespace {
const ProxyPlace kPlace{"/api/v1/namespaces/d/pods/p/proxy", "10.1.2.3:80", "cluster:6443"};
}

TEST_CASE("proxy: links as the client must follow them") {
  const std::pair<const char*, const char*> cases[] = {
      {"/a", "/api/v1/namespaces/d/pods/p/proxy/a"},
      {"/a/?x=/b#c", "/api/v1/namespaces/d/pods/p/proxy/a/?x=/b#c"},
      {"/", "/api/v1/namespaces/d/pods/p/proxy/"},
      {"http://10.1.2.3:80/a", "/api/v1/namespaces/d/pods/p/proxy/a"},
      {"//10.1.2.3:80/a", "/api/v1/namespaces/d/pods/p/proxy/a"},
      {"http://elsewhere/a", "http://elsewhere/a"},
      {"a/b", "a/b"},
      {"../a", "../a"},
      {"#here", "#here"},
      {"", ""},
      {"mailto:x@y", "mailto:x@y"},
      {"/api/v1/namespaces/d/pods/p/proxy/a", "/api/v1/namespaces/d/pods/p/proxy/a"},
      {"https://cluster:6443/a", "https://cluster:6443/api/v1/namespaces/d/pods/p/proxy/a"},
      {"http://[", "http://["},
  };
  for (const auto& [url, expected] : cases) {
    INFO(url);
    CHECK(rewrite_url(url, kPlace) == expected);
  }
}

TEST_CASE("proxy: pages keep everything but their links") {
  const std::string p = kPlace.prefix;
  const std::pair<std::string, std::string> cases[] = {
      {R"(<a href="/x">test</a>)", R"(<a href=")" + p + R"(/x">test</a>)"},
      {R"(<A class=k HREF='/x' >t</A>)", "<A class=k HREF='" + p + "/x' >t</A>"},
      {"<img src=/x><br/>", "<img src=" + p + "/x><br/>"},
      {R"(<img alt="/y" src="/x"/>)", R"(<img alt="/y" src=")" + p + R"(/x"/>)"},
      {R"(<p title="/x">/y</p>)", R"(<p title="/x">/y</p>)"},
      {R"(<!-- <a href="/x"> --><script>var a = '<a href="/x">';</script><a href="/y">)",
       R"(<!-- <a href="/x"> --><script>var a = '<a href="/x">';</script><a href=")" + p + R"(/y">)"},
      {"<", "<"},
      {"<a href", "<a href"},
      {"<a href=", "<a href="},
      {R"(<a href="/x)", R"(<a href=")" + p + "/x"},
      {"a < b <1 </a>", "a < b <1 </a>"},
      {"<script>never closed", "<script>never closed"},
      {"<!-- never closed", "<!-- never closed"},
  };
  for (const auto& [page, expected] : cases) {
    INFO(page);
    CHECK(rewrite_html(page, kPlace) == expected);
  }
}

TEST_CASE("proxy: paths are joined as Go joins them") {
  const std::tuple<const char*, const char*, const char*> cases[] = {
      {"/a", "b", "/a/b"}, {"/a/", "/b/", "/a/b/"}, {"/a", "", "/a"}, {"/a", "/", "/a/"}, {"/a", "../b", "/b"}, {"", "", "/"}};
  for (const auto& [a, b, joined] : cases) {
    INFO(a << " " << b);
    CHECK(join_paths(a, b) == joined);
  }
}
