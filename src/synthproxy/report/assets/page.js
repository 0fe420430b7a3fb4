"use strict";
(() => {
  const SEEK_SECONDS = 0.25;
  // Players

  function buildComparison(element) {
    const comparison = {
      element,
      seconds: JSON.parse(element.dataset.comparison).seconds,
      clock: element.querySelector(".clock"),
      players: [...element.querySelectorAll(".player")].map((player) => ({
        element: player,
        ...JSON.parse(player.dataset.sound),
        audio: player.querySelector("audio"),
        button: player.querySelector(".play"),
        screen: player.querySelector(".screen"),
        label: player.querySelector(".label").textContent,
      })),
      chosen: 0,
    };
    for (const [index, player] of comparison.players.entries()) {
      player.audio.controls = false;
      player.button.addEventListener("click", () => pressPlay(comparison, index));
      enableSeeking(comparison, index);
      player.audio.addEventListener("play", () => follow(comparison));
      for (const event of ["pause", "ended", "seeked", "loadedmetadata"]) {
        player.audio.addEventListener(event, () => show(comparison));
      }
    }
    buildSwitches(comparison);
    show(comparison);
    return comparison;
  }

  function buildSwitches(comparison) {
    const { element, players } = comparison;
    const loop = element.querySelector(".loop");
    loop.checked = false;
    loop.addEventListener("change", () => {
      for (const player of players) player.audio.loop = loop.checked;
    });
    const asRendered = element.querySelector(".as-rendered");
    asRendered.checked = false;
    // The files inside are level-matched; the loudest one as rendered keeps its level, so nothing ever clips.
    const loudest = Math.max(...players.map((player) => player.gain)) || 1;
    asRendered.addEventListener("change", () => {
      for (const player of players) player.audio.volume = asRendered.checked ? player.gain / loudest : 1;
    });
    // iOS leaves the volume to the hardware buttons; a switch that does nothing would mislead.
    players[0].audio.volume = 0.5;
    asRendered.closest("label").hidden = players[0].audio.volume !== 0.5;
    players[0].audio.volume = 1;
  }

  function enableSeeking(comparison, index) {
    const { screen } = comparison.players[index];
    const seekTo = (event) => {
      const frame = screen.getBoundingClientRect();
      choose(comparison, index);
      seek(comparison, ((event.clientX - frame.left) / frame.width) * comparison.seconds);
    };
    screen.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      if (event.isTrusted) screen.setPointerCapture(event.pointerId);
      seekTo(event);
    });
    screen.addEventListener("pointermove", (event) => {
      if (screen.hasPointerCapture(event.pointerId)) seekTo(event);
    });
    screen.addEventListener("dragstart", (event) => event.preventDefault());
  }

  // State read off the players

  const chosenOf = (comparison) => comparison.players[comparison.chosen];
  const isPlaying = (comparison) => !chosenOf(comparison).audio.paused;
  const positionOf = (player) => (player.audio.ended ? 0 : player.audio.currentTime);

  function seek(comparison, seconds) {
    const { audio, seconds: length } = chosenOf(comparison);
    audio.currentTime = Math.min(Math.max(seconds, 0), length);
    show(comparison);
  }

  /** Hand over to another sound of the comparison at the same position, still sounding if it was. */
  function choose(comparison, index) {
    const before = chosenOf(comparison);
    const wasPlaying = isPlaying(comparison);
    current = comparison;
    if (before === comparison.players[index]) return;
    const position = positionOf(before);
    before.audio.pause();
    comparison.chosen = index;
    const next = chosenOf(comparison);
    next.audio.currentTime = position < next.seconds ? position : 0;
    if (wasPlaying) play(comparison);
    show(comparison);
  }

  function play(comparison) {
    const { audio } = chosenOf(comparison);
    silenceOthers(audio);
    audio.play().catch(() => show(comparison));
  }

  function pressPlay(comparison, index) {
    const already = comparison.chosen === index && isPlaying(comparison);
    choose(comparison, index);
    if (already) chosenOf(comparison).audio.pause();
    else play(comparison);
  }

  function silenceOthers(sounding) {
    for (const comparison of comparisons) {
      for (const { audio } of comparison.players) if (audio !== sounding) audio.pause();
    }
  }

  function follow(comparison) {
    show(comparison);
    // Every switch starts a chain of frames: end the one before.
    cancelAnimationFrame(comparison.frame);
    if (isPlaying(comparison)) comparison.frame = requestAnimationFrame(() => follow(comparison));
  }

  function show(comparison) {
    const position = positionOf(chosenOf(comparison));
    comparison.element.style.setProperty("--position", position / comparison.seconds);
    comparison.element.classList.toggle("started", position > 0 || isPlaying(comparison));
    comparison.clock.textContent = `${position.toFixed(1)} / ${chosenOf(comparison).seconds.toFixed(1)} s`;
    for (const [index, player] of comparison.players.entries()) {
      const playing = !player.audio.paused;
      player.element.classList.toggle("chosen", index === comparison.chosen);
      player.element.classList.toggle("playing", playing);
      player.button.setAttribute("aria-pressed", String(playing));
      player.button.setAttribute("aria-label", `${playing ? "Pause" : "Play"} ${player.label}`);
    }
  }

  // Keys

  /** The comparison that keys act on: the one that sounds, else the last one used if in view, else the nearest. */
  function comparisonInMind() {
    const distance = ({ element }) => {
      const { top, bottom } = element.getBoundingClientRect();
      const middle = innerHeight / 2;
      return Math.max(top - middle, middle - bottom, 0);
    };
    if (isPlaying(current) || distance(current) < innerHeight / 2) return current;
    return comparisons.reduce((best, other) => (distance(other) < distance(best) ? other : best));
  }

  function switchBy(comparison, index) {
    const hadFocus = comparison.element.contains(document.activeElement);
    choose(comparison, index);
    const { button, element } = chosenOf(comparison);
    // Focus goes along, or space would act on the button of the sound before.
    if (hadFocus) button.focus({ preventScroll: true });
    element.scrollIntoView({ block: "nearest" });
  }

  function pressKey(event) {
    const comparison = comparisonInMind();
    const count = comparison.players.length;
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.key === " ") {
      if (event.target.closest("button, a, input")) return;
      pressPlay(comparison, comparison.chosen);
    } else if (step && event.shiftKey) {
      current = comparison;
      seek(comparison, positionOf(chosenOf(comparison)) + step * SEEK_SECONDS);
    } else if (step) {
      switchBy(comparison, (comparison.chosen + step + count) % count);
    } else if (/^[1-9]$/.test(event.key) && Number(event.key) <= count) {
      switchBy(comparison, Number(event.key) - 1);
    } else {
      return;
    }
    event.preventDefault();
  }

  function explainKeys() {
    const hint = document.createElement("p");
    hint.className = "keys";
    hint.innerHTML =
      "<kbd>space</kbd> play or pause · <kbd>←</kbd> <kbd>→</kbd> or <kbd>1</kbd>–<kbd>9</kbd> switch sounds at the " +
      "same position · <kbd>shift</kbd> <kbd>←</kbd> <kbd>→</kbd> or a click on the picture to move in time";
    comparisons[0].element.parentElement.querySelector(".lead").append(hint);
  }

  // Tables

  function sortBy(table, column) {
    const headers = [...table.tHead.rows[0].cells];
    const ascending = headers[column].getAttribute("aria-sort") !== "ascending";
    for (const header of headers) header.removeAttribute("aria-sort");
    headers[column].setAttribute("aria-sort", ascending ? "ascending" : "descending");
    const numeric = headers[column].classList.contains("number");
    const valueOf = ({ cells }) => {
      const { dataset, textContent } = cells[column];
      return numeric ? ("value" in dataset ? Number(dataset.value) : null) : textContent;
    };
    const compare = (left, right) => {
      const [a, b] = [valueOf(left), valueOf(right)];
      if (a === null || b === null) return (a === null) - (b === null);
      const order = numeric ? a - b : a.localeCompare(b, undefined, { numeric: true });
      return ascending ? order : -order;
    };
    table.tBodies[0].append(...[...table.tBodies[0].rows].sort(compare));
  }

  function enableSorting(table) {
    for (const [column, header] of [...table.tHead.rows[0].cells].entries()) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...header.childNodes);
      button.addEventListener("click", () => sortBy(table, column));
      header.append(button);
    }
  }

  const comparisons = [...document.querySelectorAll(".comparison")].map(buildComparison);
  let current = comparisons[0];
  document.querySelectorAll("table.sortable").forEach(enableSorting);
  document.documentElement.classList.add("enhanced");
  if (comparisons.length > 0) {
    explainKeys();
    document.addEventListener("keydown", (event) => {
      const taken = event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey;
      if (!taken && !event.target.closest?.(".scroll, textarea, select, audio")) pressKey(event);
    });
  }
})();
