(() => {
  "use strict";
  const SEEK_SECONDS = 0.25;
  const deck = document.querySelector(".deck");
  const find = (name) => deck.querySelector(name);
  const [playButton, slider, loop, asRendered] = [".play", ".seek input", ".loop", ".as-rendered"].map(find);
  const takeOf = new WeakMap(); // By its button.

  // What the page holds

  function buildTable(element) {
    const grid = element.querySelector("table");
    const [, ...heads] = grid.tHead.rows[0].cells;
    const table = { element, grid, choice: element.querySelector(".shown-score") };
    table.given = heads.map((head) => ({ table, head, title: titleIn(head), cells: [], takes: [] }));
    table.columns = table.given;
    table.rows = [...grid.tBodies[0].rows].map((row, index) => buildRow(table, row, index));
    for (const column of table.given) {
      column.loudest = Math.max(...column.takes.map((take) => take?.gain ?? 0)) || 1;
      column.longest = Math.max(...column.takes.map((take) => take?.seconds ?? 0));
    }
    table.tabStop = table.columns[0].takes[0];
    table.tabStop.button.tabIndex = 0;
    table.choice?.addEventListener("change", () => showScores(table));
    return table;
  }

  const titleIn = (head) => head.querySelector(".title").textContent;

  function buildRow(table, element, index) {
    const [head, ...cells] = element.cells;
    const row = { element, head, index, system: titleIn(head), means: JSON.parse(head.dataset.means) };
    for (const [place, cell] of cells.entries()) {
      const column = table.given[place];
      column.cells.push(cell);
      column.takes.push(cell.matches(".take") ? buildTake(column, row, cell) : null);
    }
    if (table.given.some(({ takes }) => hasScores(takes[index]))) enableSorting(table, row);
    return row;
  }

  function buildTake(column, { index, system }, cell) {
    const [plain, button, picture] = ["audio", ".hear", "img"].map((name) => cell.querySelector(name));
    const take = { ...JSON.parse(cell.dataset.take), column, row: index, system, cell, button };
    Object.assign(take, { file: plain.src, picture: picture.src });
    plain.remove();
    takeOf.set(button, take);
    button.addEventListener("click", () => {
      pressPlay(take);
      // Safari does not focus a button that is clicked; keys go on from here.
      button.focus({ preventScroll: true });
    });
    return take;
  }

  const hasScores = (take) => take && Object.values(take.scores).some(({ value }) => value !== null);

  // Players: one for each row; they hold the sounds of one column at a time

  function buildPlayer() {
    const audio = new Audio();
    audio.hidden = true;
    audio.addEventListener("ended", () => {
      [wanted, position] = [false, 0];
      show();
    });
    deck.append(audio);
    return { audio, take: null, gain: null };
  }

  const playerOf = (take) => players[take.row];

  /** Get all sounds of a column, the wanted one first: then changing rows needs no waiting. */
  function open(column, first) {
    if (opened?.column === column) return;
    for (const player of players) {
      player.take = null;
      player.audio.removeAttribute("src");
      player.audio.load();
    }
    opened?.column.takes.forEach((take) => take?.address.then(URL.revokeObjectURL, () => {}));
    // A column may be left and opened again before its sounds have come; those of the first time are then gone.
    const opening = { column };
    opened = opening;
    for (const take of [first, ...column.takes.filter((take) => take && take !== first)]) {
      take.address = addressOf(take);
      take.ready = take.address.then((address) => opened === opening && hold(take, address));
      take.ready.catch(() => {});
    }
  }

  function hold(take, address) {
    const player = playerOf(take);
    player.audio.src = address;
    player.take = take;
    setVolume(player);
  }

  async function addressOf({ file }) {
    // A page on disk may fetch nothing, but it plays files. Some hosts serve whole files only: what is played off them
    // cannot be moved in time, so all of it is fetched.
    if (location.protocol === "file:" || file.startsWith("data:")) return file;
    const response = await fetch(file);
    if (!response.ok) throw new Error(`${file}: ${response.status}`);
    return URL.createObjectURL(new Blob([await response.arrayBuffer()], { type: "audio/flac" }));
  }

  /** Bring the chosen take to the position, and play it if that is wanted, as soon as its sound is here. */
  async function cue() {
    const take = chosen;
    const { audio } = playerOf(take);
    try {
      open(take.column, take);
      await take.ready;
      if (take !== chosen) return;
      audio.currentTime = position;
      if (!wanted) return;
      silenceOthers(audio);
      await audio.play();
      follow();
    } catch (error) {
      // A pause before the sound has begun is no failure.
      if (take !== chosen || error.name === "AbortError") return;
      wanted = false;
      show();
      find(".facts").textContent = "This sound could not be played.";
    }
  }

  function silenceOthers(sounding) {
    for (const audio of document.querySelectorAll("audio")) if (audio !== sounding) audio.pause();
  }

  /** Safari lets a player begin later only if it was loaded in a gesture once. */
  function unlock() {
    for (const { audio } of players) if (!audio.src) audio.load();
    context?.resume();
  }

  // Levels: the files are level-matched; of a column, the loudest as rendered keeps its level, so nothing ever clips

  function setVolume(player) {
    const { audio, take } = player;
    const volume = take && asRendered.checked ? take.gain / take.column.loudest : 1;
    audio.volume = volume;
    // iOS leaves the volume of players to its buttons; there a gain node does the same.
    if (player.gain || Math.abs(audio.volume - volume) > 1e-6) gainOf(player).gain.value = volume;
  }

  function gainOf(player) {
    if (!player.gain) {
      context ??= new AudioContext();
      player.gain = context.createGain();
      context.createMediaElementSource(player.audio).connect(player.gain).connect(context.destination);
      context.resume();
    }
    return player.gain;
  }

  // What is chosen, whether it is to sound, and where it is

  const isHeld = () => playerOf(chosen).take === chosen;

  function notePosition() {
    if (isHeld() && wanted) position = playerOf(chosen).audio.currentTime;
  }

  /** Turn to another take: at the same position within a column, else at the beginning. */
  function choose(take) {
    if (take === chosen) return;
    notePosition();
    playerOf(chosen).audio.pause();
    if (take.column !== chosen.column || position >= take.seconds) position = 0;
    chosen = take;
    const { table } = take.column;
    table.tabStop.button.tabIndex = -1;
    table.tabStop = take;
    take.button.tabIndex = 0;
  }

  function pressPlay(take) {
    const pausing = take === chosen && wanted;
    choose(take);
    if (pausing) pause();
    else play();
  }

  function play() {
    wanted = true;
    cue();
    show();
  }

  function pause() {
    notePosition();
    wanted = false;
    playerOf(chosen).audio.pause();
    show();
  }

  function seek(seconds) {
    position = Math.min(Math.max(seconds, 0), chosen.seconds);
    if (isHeld()) playerOf(chosen).audio.currentTime = position;
    else cue();
    show();
  }

  function follow() {
    notePosition();
    showPosition();
    // Every start begins a chain of frames: end the one before.
    cancelAnimationFrame(frame);
    if (wanted) frame = requestAnimationFrame(follow);
  }

  // What is seen of it

  function show() {
    const { column, system, level, scores, picture } = chosen;
    if (shown !== chosen) {
      shown.cell.classList.remove("chosen", "playing", "started");
      shown.column.head.classList.remove("current");
      describe(shown);
      shown = chosen;
    }
    chosen.cell.classList.add("chosen");
    column.head.classList.add("current");
    for (const element of [chosen.cell, deck]) element.classList.toggle("playing", wanted);
    describe(chosen);
    playButton.setAttribute("aria-pressed", String(wanted));
    playButton.setAttribute("aria-label", `${wanted ? "Pause" : "Play"} ${system} of ${column.title}`);
    find(".system").textContent = system;
    find(".title").textContent = column.title;
    const values = Object.entries(scores).flatMap(([name, { text }]) => (text ? [`${name} ${text}`] : []));
    find(".facts").textContent = [level, ...values].filter(Boolean).join(" · ");
    find("img").src = picture;
    slider.max = column.longest;
    showPosition();
  }

  function showPosition() {
    const { cell, column, seconds } = chosen;
    const [here, whole] = [position.toFixed(1), seconds.toFixed(1)];
    cell.classList.toggle("started", wanted || position > 0);
    cell.style.setProperty("--position", position / column.longest);
    slider.value = position;
    slider.setAttribute("aria-valuetext", `${here} of ${whole} seconds`);
    find(".clock").textContent = `${here} / ${whole} s`;
  }

  function describe(take) {
    const { button, system, column, scores } = take;
    const playing = take === chosen && wanted;
    const name = column.table.choice?.value;
    const score = scores[name]?.text ? `, ${name} ${scores[name].text}` : "";
    button.setAttribute("aria-pressed", String(playing));
    button.setAttribute("aria-label", `${playing ? "Pause" : "Play"} ${system} of ${column.title}${score}`);
  }

  // Keys

  function pressKey(event) {
    const here = takeOf.get(event.target);
    const next = here && !event.shiftKey ? wayFrom(here, event.key) : undefined;
    const step = event.shiftKey && { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (next) {
      goTo(next);
    } else if (here && step) {
      choose(here);
      notePosition();
      seek(position + step * SEEK_SECONDS);
    } else if (event.key === " " && event.target === document.body && !document.querySelector(".comparison")) {
      pressPlay(chosen);
    } else if (next === undefined) {
      // Others are not ours; space and Enter press a button by themselves.
      return;
    }
    event.preventDefault();
  }

  /** Where a key leads: a take, null where there is none, undefined if the key leads nowhere. */
  function wayFrom({ column, row }, key) {
    const { columns } = column.table;
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (key in steps) return neighbour(columns.indexOf(column), row, columns, ...steps[key]);
    if (key === "Home") return columns.find(({ takes }) => takes[row]).takes[row];
    if (key === "End") return columns.findLast(({ takes }) => takes[row]).takes[row];
    return /^[1-9]$/.test(key) ? (column.takes[Number(key) - 1] ?? null) : undefined;
  }

  /** The next take that way; cells without one are passed over. */
  function neighbour(place, row, columns, across, down) {
    do [place, row] = [place + across, row + down];
    while (columns[place]?.takes[row] === null);
    return columns[place]?.takes[row] ?? null;
  }

  function goTo(take) {
    choose(take);
    cue();
    show();
    take.button.focus({ preventScroll: true });
    take.cell.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  function explainKeys() {
    const hint = document.createElement("p");
    hint.className = "keys";
    hint.innerHTML =
      "<kbd>space</kbd> play or pause · <kbd>↑</kbd> <kbd>↓</kbd> or <kbd>1</kbd>–<kbd>9</kbd> another row at the same " +
      "position · <kbd>←</kbd> <kbd>→</kbd> another sound · <kbd>shift</kbd> <kbd>←</kbd> <kbd>→</kbd> move in time " +
      "· the name of a row sorts by its scores";
    tables[0].element.closest(".section").querySelector(".lead").append(hint);
  }

  // Scores

  const scoreShown = (table) => ({ name: table.choice.value, ...table.choice.selectedOptions[0].dataset });

  function showScores(table) {
    const { name, better } = scoreShown(table);
    table.element.querySelector(".better").textContent = better;
    for (const take of table.columns.flatMap(({ takes }) => takes).filter(Boolean)) {
      showScore(take.cell, take.scores[name]);
      describe(take);
    }
    for (const { head, means } of table.rows) showScore(head, means[name]);
    const sorted = table.rows.find(({ order }) => order);
    if (sorted) sortBy(table, sorted, sorted.order);
  }

  function showScore(element, { text, best }) {
    const place = element.querySelector(".score");
    place.textContent = text;
    place.classList.toggle("best", best);
    if (best) place.insertAdjacentHTML("beforeend", '<span class="unseen"> (best)</span>');
  }

  // Order of the columns: as given, or by the scores of a row

  function enableSorting(table, row) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.title = "Sort the columns by this row";
    button.innerHTML = '<span class="order"></span>';
    const title = row.head.querySelector(".title");
    title.replaceWith(button);
    button.prepend(title);
    const next = { "": "best first", "best first": "worst first", "worst first": "" };
    row.order = "";
    button.addEventListener("click", () => {
      sortBy(table, row, next[row.order]);
      table.element.querySelector(".scroll").scrollLeft = 0;
    });
  }

  function sortBy(table, row, order) {
    const { name, best } = scoreShown(table);
    const sign = (best === "lowest") === (order === "best first") ? 1 : -1;
    const valueOf = ({ takes }) => takes[row.index]?.scores[name].value ?? null;
    const compare = (left, right) => {
      const [a, b] = [valueOf(left), valueOf(right)];
      return a === null || b === null ? (a === null) - (b === null) : sign * (a - b);
    };
    for (const other of table.rows.filter((other) => other.order !== undefined)) {
      other.order = other === row ? order : "";
      other.head.querySelector(".order").textContent = other.order;
      other.head.removeAttribute("aria-sort");
    }
    if (order) row.head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
    arrange(table, order ? [...table.given].sort(compare) : table.given);
  }

  function arrange(table, columns) {
    table.columns = columns;
    table.grid.tHead.rows[0].append(...columns.map(({ head }) => head));
    for (const { element, index } of table.rows) element.append(...columns.map(({ cells }) => cells[index]));
  }

  const tables = [...document.querySelectorAll(".sound-table")].map(buildTable);
  const players = Array.from({ length: Math.max(...tables.map(({ rows }) => rows.length)) }, buildPlayer);
  let chosen = tables[0].tabStop;
  let shown = chosen;
  let [wanted, position, opened, frame, context] = [false, 0, null, 0, null];
  for (const control of [loop, asRendered]) control.checked = false;
  loop.addEventListener("change", () => players.forEach(({ audio }) => (audio.loop = loop.checked)));
  asRendered.addEventListener("change", () => players.forEach(setVolume));
  playButton.addEventListener("click", () => pressPlay(chosen));
  slider.addEventListener("input", () => seek(Number(slider.value)));
  document.addEventListener("pointerdown", unlock);
  document.addEventListener("keydown", (event) => {
    unlock();
    if (!event.defaultPrevented && !event.ctrlKey && !event.metaKey && !event.altKey) pressKey(event);
  });
  // Comparisons on the same page have players of their own.
  const isOther = (audio) => players.every((player) => player.audio !== audio);
  document.addEventListener("play", ({ target }) => wanted && isOther(target) && pause(), true);
  explainKeys();
  show();
})();
