// Stored bytes in the form that a client asked for: as they are, as a table, as metadata only; as JSON, YAML or protobuf.
#pragma once

#include <string>
#include <string_view>

#include "knarr/apiserver/rest.h"
#include "negotiate.h"

namespace knarr::apiserver {

class Renderer {
 public:
  Renderer(const schema::Resource& resource, Output output, WallTime now)
      : resource_(resource), output_(std::move(output)), now_(now) {}

  std::string object(std::string_view bytes) const;  // one object, or a Status, which stays as it is
  std::string list(const ListAnswer& list) const;
  // Appends one frame of a watch. The first frame of a table has the columns. `now`: for ages, which a watch outlives.
  void watch_frame(std::string& out, const WatchItem& item, WallTime now);

 private:
  void append_message(std::string& out, std::string_view bytes) const;  // of an object in a list
  std::string protobuf_list(const ListAnswer& list) const;
  void protobuf_frame(std::string& out, const WatchItem& item) const;
  std::string plain(std::string_view bytes) const;
  std::string partial(std::string_view bytes) const;
  void append_table_head(std::string& out, std::string_view metadata, bool columns) const;
  void append_row(std::string& out, std::string_view bytes) const;

  const schema::Resource& resource_;
  Output output_;
  WallTime now_;
  bool columns_shown_ = false;
};

// Any JSON text in the output's format: pretty, as YAML or as protobuf where that is wanted and there is such a form.
std::string format_json(std::string text, const Output& output);

// The text of metadata in stored bytes, an object; "{}" where there is none.
std::string_view metadata_text(std::string_view bytes);

}  // namespace knarr::apiserver
