// What a container's start reads of others: the image's account files and a user's name, the node's seccomp profiles, the state
// that a shim of another version left. The first byte says which.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "runtime/fields.h"
#include "runtime/log_writer.h"
#include "runtime/seccomp.h"
#include "runtime/sysctl.h"
#include "runtime/user.h"

using namespace knarr;
using namespace knarr::runtime;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 5) {
    case 0: {
      ContainerSpec spec;
      const size_t first = text.find('\0'), second = text.find('\0', first + 1);
      if (first == text.npos || second == text.npos) return 0;
      spec.user = text.substr(0, first);
      const auto user = resolve_user(spec, text.substr(first + 1, second - first - 1), text.substr(second + 1));
      if (user.ok() && (user->groups.empty() || user->groups.front() != user->gid)) abort();
      return 0;
    }
    case 1:
      (void)parse_seccomp_profile(text, 0);
      return 0;
    case 2: {
      const auto document = json::parse(text);
      if (document.ok() && document->IsObject()) (void)from_json<PodState>(*document);
      return 0;
    }
    case 3: {
      const auto file = sysctl_file(std::string(text), {});
      if (file.ok() && (file->compare(0, 10, "/proc/sys/") != 0 || file->find("..") != file->npos)) abort();
      return 0;
    }
    default: {
      // No byte is lost or invented, however the text is cut up.
      std::string out, partial, back;
      const size_t cut = data[0] * size_t{97} % (text.size() + 1);
      append_log_records(out, partial, Stream::kStderr, text.substr(0, cut), 0);
      append_log_records(out, partial, Stream::kStderr, text.substr(cut), 0);
      for (size_t at = 0; at < out.size();) {
        const size_t end = out.find('\n', at), start = at + std::string_view("1970-01-01T00:00:00.000000000Z stderr F ").size();
        back += out.substr(start, end - start);
        if (out[start - 2] == 'F') back += '\n';
        at = end + 1;
      }
      if (back + partial != text) abort();
      return 0;
    }
  }
}
