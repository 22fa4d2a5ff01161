// Packed blocks of the page, and who may go first.
"use strict";

const parsed = new Promise((done) => {
  if (document.readyState === "loading") addEventListener("DOMContentLoaded", done, { once: true });
  else done();
});

// What a page does otherwise that a server shows: live.js has where blocks come from, and what stands below samples.
const served = {};

// Text of a block of the page: gzip, in base64.
const unpack = async (id) => {
  await parsed;
  if (served.block) return served.block(id);
  const text = document.getElementById(id).textContent;
  const bytes = Uint8Array.fromBase64?.(text) ?? Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
};

// What has to be on the screen before plotly is read, which takes long: problems.js puts a linked problem here.
let first = Promise.resolve();
