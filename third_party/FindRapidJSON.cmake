# RapidJSON: Debian package rapidjson-dev, headers only. Target knarr::rapidjson.
find_path(RapidJSON_INCLUDE_DIR rapidjson/document.h)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(RapidJSON REQUIRED_VARS RapidJSON_INCLUDE_DIR)
if(RapidJSON_FOUND AND NOT TARGET knarr::rapidjson)
  add_library(knarr::rapidjson INTERFACE IMPORTED)
  set_target_properties(knarr::rapidjson PROPERTIES INTERFACE_INCLUDE_DIRECTORIES ${RapidJSON_INCLUDE_DIR}
    INTERFACE_COMPILE_DEFINITIONS "RAPIDJSON_HAS_STDSTRING=1")
endif()
mark_as_advanced(RapidJSON_INCLUDE_DIR)
