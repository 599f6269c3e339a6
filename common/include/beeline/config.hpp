// Version of libbeeline, and how its names are versioned and exported.
//
// Everything public is in namespace beeline::link, in an inline namespace that changes whenever binary
// compatibility ends: programs built against another version do not link, instead of misbehaving. Program and
// library share an io_context, so another version of Boost is another binary interface too.
#pragma once
#include <boost/version.hpp>

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

#define BEELINE_JOIN_EXPANDED(a, b) a##b
#define BEELINE_JOIN(a, b) BEELINE_JOIN_EXPANDED(a, b)
#define BEELINE_ABI BEELINE_JOIN(v4_boost_, BOOST_VERSION)

#define BEELINE_LINK_BEGIN                                                                                   \
  namespace beeline::link {                                                                                  \
  inline namespace BEELINE_ABI {
#define BEELINE_LINK_END                                                                                     \
  }                                                                                                          \
  }
