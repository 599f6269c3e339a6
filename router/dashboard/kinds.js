// How answers of QoS 1 and drops of QoS 0 are drawn: each kind and reason has one colour and dash, whatever else is
// shown. What is answered and dropped for the same cause has the same in both charts. In dashboard.css: kind-0, kind-1 ...
const styles = [
  ["accepted"], ["nobody"], ["later_warm_up", "warming_up"], ["later_lane", "owner_lingering"], ["busy", "link_full"],
  ["not_here"], ["full", "recipient_full"], ["unknown", "gave_up"], ["expired"], ["moved"], ["retry"], ["refused", "memory_limit"],
];
const known = new Map(styles.flatMap((names, i) => names.map((name) => [name, `kind-${i}`])));

const others = (rates) =>
  Object.entries(rates).reduce((sum, [name, n]) => (known.has(name) ? sum : sum + n), 0);

// The lines of a chart: the names that occurred in the samples, in the order above; what is not there is "other".
// rates: (sample) => {name: number a second}.
export function linesByKind(rates) {
  return (samples) => {
    const seen = (value) => samples.some((s) => value(s) > 0);
    return [...[...known].map(([name, style]) =>
              ({ name: name.replaceAll("_", " "), style, value: (s) => rates(s)[name] ?? 0 })),
            { name: "other", style: "kind-other", value: (s) => others(rates(s)) }].filter((l) => seen(l.value));
  };
}

// A family of counters as rates a second; nothing happened before there was an answer to compare with.
export const perSecond = (now, before, seconds) => Object.fromEntries(Object.entries(now).map(
  ([name, n]) => [name, seconds > 0 ? Math.max(0, n - (before[name] ?? 0)) / seconds : 0]));
