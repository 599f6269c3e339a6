// Options that send and listen have in common: which edge, which MQTT.
#pragma once
#include "common/cli/admin.hpp"

namespace beeline::cli {

inline void declare_mqtt(po::options_description& o) {
  o.add_options()                                                                    //
      ("edge", ops::value("HOST:PORT", "127.0.0.1:1883"), "MQTT address of an edge") //
      ("mqtt5,5", ops::flag(), "speak MQTT 5 (the default)")                         //
      ("mqtt3,3", ops::flag(), "speak MQTT 3.1.1");
  declare_json(o);
}

inline int mqtt_version(const ops::option_values& o) {
  if (o.flag("mqtt3") && o.flag("mqtt5"))
    throw ops::start_error("-3 and -5 exclude each other; give one of them", ops::exit_usage);
  return o.flag("mqtt3") ? 3 : 5;
}

} // namespace beeline::cli
