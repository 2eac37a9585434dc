// The admission plugins that knarr runs. What a plugin is stands in knarr/apiserver/admission.h.
#pragma once

#include "knarr/apiserver/admission.h"

namespace knarr::admission {

// The default plugins, in upstream's order. They read other objects from `store`, which must outlive the chain.
apiserver::AdmissionChain default_chain(store::Store& store);

}  // namespace knarr::admission
