# cpp-httplib 0.11: Debian package libcpp-httplib-dev. Debian ships it split (header and shared library). Target knarr::httplib.
# A static build needs the header-only form; Debian's header declares, and its .so defines, so a static build compiles none of it:
# see KNARR_STATIC in src/http/CMakeLists.txt.
find_path(CppHttplib_INCLUDE_DIR httplib.h)
if(NOT KNARR_STATIC)
  find_library(CppHttplib_LIBRARY NAMES cpp-httplib)
endif()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(CppHttplib REQUIRED_VARS CppHttplib_INCLUDE_DIR)
if(CppHttplib_FOUND AND NOT TARGET knarr::httplib)
  add_library(knarr::httplib INTERFACE IMPORTED)
  set_target_properties(knarr::httplib PROPERTIES INTERFACE_INCLUDE_DIRECTORIES ${CppHttplib_INCLUDE_DIR}
    INTERFACE_COMPILE_DEFINITIONS "CPPHTTPLIB_OPENSSL_SUPPORT;CPPHTTPLIB_ZLIB_SUPPORT"
    INTERFACE_LINK_LIBRARIES "${CppHttplib_LIBRARY};OpenSSL::SSL;OpenSSL::Crypto;ZLIB::ZLIB")
endif()
mark_as_advanced(CppHttplib_INCLUDE_DIR CppHttplib_LIBRARY)
