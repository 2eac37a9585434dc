#include "http/message.h"
#include "http/takeover.h"

namespace knarr::http {

std::string_view Request::header(std::string_view name) const { return find_header(headers, name); }

std::optional<std::string_view> Request::param(std::string_view name) const {
  for (const auto& [key, value] : query)
    if (key == name) return value;
  return {};
}

std::vector<std::string_view> Request::params(std::string_view name) const {
  std::vector<std::string_view> values;
  for (const auto& [key, value] : query)
    if (key == name) values.push_back(value);
  return values;
}

bool Request::flag(std::string_view name) const {
  auto value = param(name);
  return value && *value != "0" && !equal_fold(*value, "false");
}

void Response::set_header(std::string_view name, std::string_view value) {
  std::erase_if(headers, [&](const auto& header) { return equal_fold(header.first, name); });
  add_header(name, value);
}

void Response::add_header(std::string_view name, std::string_view value) { headers.emplace_back(name, value); }

void Response::make_body() {
  if (!source) return;
  body.resize(source->left());
  body.resize(source->read(body.data(), body.size()));
  source.reset();
}

void Response::pump(uint32_t topic, std::unique_ptr<PumpSource> source) {
  takeover = std::make_shared<Takeover>();
  takeover->kind = Takeover::Kind::kPump;
  takeover->topic = topic;
  takeover->source = std::move(source);
}

void Response::stream(std::function<void(const Writer& write, const std::function<bool()>& gone)> run) {
  takeover = std::make_shared<Takeover>();
  takeover->kind = Takeover::Kind::kStream;
  takeover->run_stream = std::move(run);
}

void Response::reply(std::function<void(Reply&)> run) {
  takeover = std::make_shared<Takeover>();
  takeover->kind = Takeover::Kind::kReply;
  takeover->run_reply = std::move(run);
}

void Response::take_over(std::function<void(std::unique_ptr<Stream> stream, std::string early)> run) {
  takeover = std::make_shared<Takeover>();
  takeover->kind = Takeover::Kind::kConnection;
  takeover->run_connection = std::move(run);
}

void Response::hold(std::shared_ptr<const void> what) {
  if (takeover) takeover->held = std::move(what);
}

}  // namespace knarr::http
