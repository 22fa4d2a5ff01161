// Which answers fit the filter: verdict, end, reason and label from the list, words from the blocks of texts, which are
// opened one after the other while the page goes on answering.
"use strict";

const makeAnswers = ({ index, chunk }) => {
  const VERDICTS = ["right", "wrong", "unscored"], STATUSES = ["correct", "wrong", "unscored"];
  const ENDS = { stop: "by themselves", length: "cut at the token limit", content_filter: "stopped by a filter" };

  // Words in any order; "in quotes" they stand together.
  const words = (text = "") => [...text.toLowerCase().matchAll(/"([^"]+)"|(\S+)/g)].map(([, phrase, word]) => phrase ?? word);
  const has = (text, wanted) => wanted.every((word) => text.includes(word));

  const filters = (state) => ["a", "who", "verdict", "end", "reason", "label"].some((name) => state[name]);
  // Whether answer i of a model fits, words aside: from the list, or from the answer itself where the list has none.
  const fits = (state, p, m, i, sample) => {
    if (state.who && index.models[m] !== state.who) return false;
    const [verdict, end, place, label] = index.held ? index.kinds[index.held[m][p][i]]
      : [STATUSES.indexOf(sample[1]), sample[2].finish ?? "stop", -1, Number(sample[2].label !== undefined)];
    const reason = index.held ? index.reasons?.[place] : sample[2].reason;
    return (!state.verdict || VERDICTS[verdict] === state.verdict) && (!state.end || end === state.end)
      && (!state.reason || reason === state.reason) && (!state.label || label === 1);
  };
  const any = (state, p) => !index.held || index.models.some((_, m) => index.held[m][p].some((_, i) => fits(state, p, m, i)));
  const toSearch = (state) => Boolean(state.a) || (!index.held && filters(state));

  // Of the problems that are searched on a served page: answers that their blocks hold, and that were drawn.
  const reach = { opened: 0, drawn: 0 };
  const at = (p) => index.starts.findLastIndex((start) => start <= p);
  // Search the texts of these problems, block by block; `tell` hears what was found, and how many answers were read.
  const search = async (state, candidates, going, tell) => {
    const wanted = words(state.a), groups = new Map(), found = [];
    for (const p of candidates) groups.get(at(p))?.push(p) ?? groups.set(at(p), [p]);
    Object.assign(reach, { opened: 0, drawn: 0 });
    let answers = 0, told = performance.now();
    for (const [number, problems] of groups) {
      const read = await chunk(number);
      await new Promise((done) => setTimeout(done));
      if (!going()) return;
      for (const p of problems) {
        let hit = false;
        read[p - index.starts[number]].models.forEach((samples, m) => {
          if (!state.who || index.models[m] === state.who) {
            reach.opened += samples.length;
            reach.drawn += index.n[m][p] + index.unscored[m][p];
          }
          samples.forEach((sample, i) => {
            if (!fits(state, p, m, i, sample)) return;
            answers += 1;
            hit ||= has(sample[3].toLowerCase(), wanted);
          });
        });
        if (hit) found.push(p);
      }
      if (performance.now() - told < 250) continue;
      tell(found, answers, false);
      told = performance.now();
    }
    tell(found, answers, true);
  };

  const held = index.held?.flat(2).length;
  const drawn = [...index.n.flat(), ...index.unscored.flat()].reduce((sum, n) => sum + n, 0);
  // What a person is told of the answers that were looked at.
  const counted = (n) => `${n.toLocaleString("en")} ${n === 1 ? "answer" : "answers"}`;
  const looked = (read) => {
    if (held === undefined && read !== undefined && reach.opened < reach.drawn)
      return `${counted(read)} looked at, the first of each problem, of ${reach.drawn.toLocaleString("en")} drawn; “Search every answer in the runs” below finds the rest.`;
    if (held === undefined || held === drawn) return `${counted(read ?? drawn)} looked at.`;
    return `${counted(read ?? held)} looked at, of the ${held.toLocaleString("en")} in this page; the runs have ${drawn.toLocaleString("en")}.`;
  };
  // What the form can offer: what some answer has.
  const offers = () => {
    const used = (place) => (index.kinds ? new Set(index.kinds.map((kind) => kind[place])) : undefined);
    const verdicts = [...(used(0) ?? [0, 1, 2])].sort(), ends = [...(used(1) ?? Object.keys(ENDS))];
    return {
      who: index.models.length > 1 ? index.models.map((name) => [name, name]) : [],
      verdict: verdicts.length > 1 ? verdicts.map((verdict) => [VERDICTS[verdict], VERDICTS[verdict]]) : [],
      end: ends.length > 1 ? ends.map((end) => [end, ENDS[end] ?? end]) : [],
      reason: (index.reasons ?? []).map((reason) => [reason, reason]),
      label: used(3)?.has(1) ? [["differs", index.labels ? `not the verdict (first ${index.labels.toLocaleString("en")} kept)` : "not the verdict"]] : [],
    };
  };
  return { words, has, filters, fits, any, toSearch, search, looked, offers };
};
