// Warnings about objects that are valid and still doubtful; private to the module.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "knarr/codec/json.h"

namespace knarr::schema::warning {

using Warnings = std::vector<std::string>;

// A pod, or (with the path that it has) the template of one.
void pod(const json::Value& pod, const std::string& path, Warnings& out);
void claim_spec(const json::Value& spec, const std::string& path, Warnings& out);
void node_selector_term(const json::Value& term, bool checks_values, const std::string& path, Warnings& out);
void cidr(std::string_view range, const std::string& path, Warnings& out);
void overlapping_paths(const json::Value& spec, Warnings& out);  // of the files that volumes of a pod consist of
void ip(std::string_view address, const std::string& path, Warnings& out);
std::string_view deprecated_node_label(std::string_view key);  // what to say about it, "" nothing

}  // namespace knarr::schema::warning
