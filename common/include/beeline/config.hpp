// Version of libbeeline, and how its names are versioned and exported.
//
// Everything public is in namespace beeline::link, in an inline namespace that changes whenever binary
// compatibility ends: programs built against another version do not link, instead of misbehaving.
#pragma once

#define BEELINE_VERSION_MAJOR 0
#define BEELINE_VERSION_MINOR 1
#define BEELINE_VERSION_PATCH 0
#define BEELINE_VERSION_NUMBER                                                                               \
  (BEELINE_VERSION_MAJOR * 10000 + BEELINE_VERSION_MINOR * 100 + BEELINE_VERSION_PATCH)

#if defined(__GNUC__)
#define BEELINE_API __attribute__((visibility("default")))
#else
#define BEELINE_API
#endif

#define BEELINE_LINK_BEGIN                                                                                   \
  namespace beeline::link {                                                                                  \
  inline namespace v1 {
#define BEELINE_LINK_END                                                                                     \
  }                                                                                                          \
  }
