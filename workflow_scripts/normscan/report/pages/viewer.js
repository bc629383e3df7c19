"use strict";
// The viewer of a scan's page: layers, thresholds and components, drawn by NiiVue.
(() => {
  const section = document.getElementById("viewer");
  const note = document.getElementById("viewer-note");
  const panel = document.getElementById("viewer-panel");
  const content = JSON.parse(document.getElementById("viewer-content").textContent);
  const find = (selector) => panel.querySelector(selector);
  const canvas = find("canvas");
  const slider = find(".scale input");

  // Colours as in the rows of slices; the first entry is what is transparent.
  const MARKED = ["#38d39f", "#ff8c1a", "#cc79a7"], TRUTH = ["#00e5ff", "#00e5ff", "#cc79a7"];
  const COLOURS = {
    map: ["#160b39", "#57106e", "#bc3754", "#f98e09", "#fcffa4"],
    uncertainty: ["#17508a", "#2fb5a5", "#f4f7d0"],
    detection: MARKED,
    truth: TRUTH,
  };
  // From below to above, what is shown at first, and how opaque. What is seen of a lesion was missed.
  const FIRST = {scan: [true, 1], expected: [false, 1], uncertainty: [false, 0.8], truth: [true, 0.6],
    map: [true, 0.8], detection: [false, 0.8]};

  // The scan in its own voxels is unpacked once it is asked for, and then takes the place of its contrast.
  let viewer, approach, layers = [], threshold = 0, wantsOwn = false, showsOwn = false;

  function refuse(reason) {
    note.textContent = `No viewer here: ${reason} The rows of slices below show what matters.`;
    note.hidden = false;
    panel.hidden = true;
  }

  function made(tag, properties = {}, ...children) {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  }

  function load(source) {
    return new Promise((resolve, reject) => {
      const script = made("script", {src: source, onload: resolve, onerror: reject});
      document.head.append(script);
    });
  }

  // A colour map of NiiVue; colours begin at a share of the scale.
  function colourMap(colours, begin = 0) {
    const parts = ["#000000", ...colours].map((one) => [1, 3, 5].map((at) => parseInt(one.slice(at, at + 2), 16)));
    const last = parts.length - 1;
    return {
      R: parts.map((one) => one[0]), G: parts.map((one) => one[1]), B: parts.map((one) => one[2]),
      A: parts.map((_, place) => (place ? 255 : 0)),
      // Scores: all of the scale is opaque, so that only the threshold decides what is seen.
      I: parts.map((_, place) => (colours === MARKED || colours === TRUTH
        ? Math.round(255 * place / last)
        : place && Math.max(place, Math.round(255 * (begin + (1 - begin) * (place - 1) / (last - 1)))))),
    };
  }

  async function start() {
    if (!document.createElement("canvas").getContext("webgl2")) {
      return refuse("this browser has no WebGL 2, or it is switched off.");
    }
    note.textContent = "The viewer is being loaded …";
    try {
      await load(section.dataset.library);
    } catch {
      return refuse(`the file ${section.dataset.library}, which belongs beside this page, is missing.`);
    }
    panel.hidden = false;
    viewer = new niivue.Niivue({
      dragAndDropEnabled: false, isRadiologicalConvention: content.radiological, logLevel: "warn",
      dragMode: 0, isNearestInterpolation: true, multiplanarShowRender: 0, crosshairWidth: 0.7, crosshairWidthUnit: "mm",
      crosshairGap: 8, showAllOrientationMarkers: true,
      crosshairColor: [0.35, 0.75, 1, 0.8], fontColor: [0.8, 0.8, 0.8, 1], loadingText: "",
      viewModeHotKey: "", clipPlaneHotKey: "", cycleClipPlaneHotKey: "",
    });
    viewer.onLocationChange = tellPlace;
    await viewer.attachToCanvas(canvas, false);
    for (const [kind, colours] of Object.entries(COLOURS)) viewer.addColormap(`of-${kind}`, colourMap(colours));
    note.hidden = true;
    connect();
    await choose(0);
  }

  function connect() {
    const select = find("#viewer-approaches select");
    content.approaches.forEach((one, number) => select.append(made("option", {value: number, textContent: one.title})));
    find("#viewer-approaches").hidden = content.approaches.length < 2;
    select.addEventListener("change", () => choose(Number(select.value)));
    find("#viewer-planes").addEventListener("change", arrange);
    matchMedia("(max-width: 40rem)").addEventListener("change", arrange);
    arrange();
    find("#viewer-voxels select").addEventListener("change", (event) => {
      wantsOwn = event.target.value === "own";
      find("#viewer-voxels-note").textContent = wantsOwn ? "The scan's own voxels are being unpacked …" : "";
      choose(content.approaches.indexOf(approach)).catch((error) => {
        wantsOwn = false;
        showVoxels();
        find("#viewer-voxels-note").textContent = `The scan's own voxels cannot be shown (${error.message ?? error}).`;
      });
    });
    find("#viewer-smooth").addEventListener("change", (event) => viewer.setInterpolation(!event.target.checked));
    listen();
    slider.addEventListener("input", () => setThreshold(Number(slider.value)));
    find(".colours").style.background = `linear-gradient(to right, ${COLOURS.map.join(", ")})`;
    document.querySelectorAll("[data-section]").forEach((part) => {
      const number = content.approaches.findIndex((one) => one.section === Number(part.dataset.section));
      if (number >= 0) connectRows(part, number);
    });
  }

  // Of NiiVue's keys none is left but the arrows and those of pages, and its wheel only once the
  // canvas has the focus: otherwise nobody could scroll past it.
  function listen() {
    // x goes to the patient's right: which way that is depends on who looks.
    const right = content.radiological ? -1 : 1;
    const ways = {ArrowLeft: [-right, 0, 0], ArrowRight: [right, 0, 0], ArrowUp: [0, 1, 0], ArrowDown: [0, -1, 0],
      PageUp: [0, 0, 1], PageDown: [0, 0, -1]};
    for (const kind of ["keydown", "keyup"]) {
      canvas.parentElement.addEventListener(kind, (event) => {
        event.stopPropagation();
        if (!(event.key in ways)) return;
        event.preventDefault();
        if (kind === "keydown") viewer.moveCrosshairInVox(...ways[event.key]);
      }, true);
    }
    canvas.parentElement.addEventListener("wheel", (event) => {
      if (document.activeElement !== canvas) event.stopPropagation();
    }, true);
    canvas.addEventListener("pointerdown", () => canvas.focus({preventScroll: true}));
  }

  // All three: the axial slice large, the others beside it, on a narrow screen below it.
  function arrange() {
    const planes = {axial: 0, coronal: 1, sagittal: 2};
    const chosen = find("#viewer-planes").value;
    if (chosen in planes) {
      viewer.clearCustomLayout();
      viewer.setSliceType(planes[chosen]);
    } else {
      const narrow = matchMedia("(max-width: 40rem)").matches;
      const [axial, coronal, sagittal] = narrow
        ? [[0, 0, 1, 0.64], [0, 0.64, 0.5, 0.36], [0.5, 0.64, 0.5, 0.36]]
        : [[0, 0, 0.6, 1], [0.6, 0, 0.4, 0.5], [0.6, 0.5, 0.4, 0.5]];
      viewer.setSliceType(3);
      viewer.setCustomLayout([{sliceType: 0, position: axial}, {sliceType: 1, position: coronal},
        {sliceType: 2, position: sagittal}]);
    }
  }

  // Rows of the component table jump to their component, by mouse or by the button in them.
  function connectRows(part, number) {
    for (const row of part.querySelectorAll("table.sortable tbody tr")) {
      const place = content.approaches[number].components[Number(row.cells[0].dataset.value)];
      if (!place) continue;
      const name = row.cells[0].textContent;
      const button = made("button", {type: "button", className: "jump", title: "show in the viewer",
        ariaLabel: `Show component ${name} in the viewer`, textContent: `${name} →`});
      row.cells[0].replaceChildren(button);
      row.classList.add("jumps");
      row.addEventListener("click", async () => {
        await choose(number);
        moveTo(place);
        document.querySelectorAll("tr.chosen").forEach((one) => one.classList.remove("chosen"));
        row.classList.add("chosen");
        section.scrollIntoView({block: "start"});
      });
    }
  }

  // One exchange of volumes after the other, however fast somebody clicks.
  let last = Promise.resolve();
  function choose(number) {
    const done = last.then(() => exchange(number));
    last = done.catch(() => {});
    return done;
  }

  // Volumes of the pack stay while approaches on one grid are compared.
  async function exchange(number) {
    const next = content.approaches[number], pack = content.packs[next.pack];
    const own = wantsOwn && pack.own;
    if (approach === next && showsOwn === Boolean(own)) return;
    const before = approach;
    const known = (one) => `${one.kind} ${one.stands_for ?? one.name}`;
    const state = Object.fromEntries(layers.map((one) => [known(one), [one.on, one.opacity]]));
    const place = before && viewer.frac2mm(viewer.scene.crosshairPos, 0, true);
    const kept = layers.filter((one) => before === next || one.ofPack && before.pack === next.pack);
    const shared = pack.layers.map((one) => own && one.kind === "scan" && one.name === own.stands_for ? own : one);
    let contrasts = 0;
    const wanted = [];
    for (const one of [...shared, ...next.layers]) {
      const [on, opacity] = state[known(one)] ?? FIRST[one.kind];
      // Of several contrasts, one is enough at first.
      const first = one.kind !== "scan" || !contrasts++;
      const layer = kept.find((other) => other.kind === one.kind && other.name === one.name) ??
        {...one, opacity, on: on && (first || known(one) in state), ofPack: shared.includes(one)};
      layer.volume ??= await asVolume(layer);
      if (layer.ofPack) one.volume = layer.volume;
      layer.volume.opacity = layer.on ? layer.opacity : 0;
      wanted.push(layer);
    }
    approach = next;
    showsOwn = Boolean(own);
    layers = wanted;
    find("#viewer-approaches select").value = number;
    const order = Object.keys(FIRST);
    layers.sort((one, other) => order.indexOf(one.kind) - order.indexOf(other.kind));
    viewer.volumes = layers.map((one) => one.volume);
    viewer.back = viewer.volumes[0];
    viewer.overlays = viewer.volumes.slice(1);
    viewer.updateGLVolume();
    showLayers();
    showVoxels();
    if (before !== next) showRules();
    if (place) moveTo(place); else moveTo(firstPlace());
  }

  // Which voxels are seen, and why there may be no others.
  function showVoxels() {
    const pack = content.packs[approach.pack];
    const choices = [["grid", `slice grid, ${pack.voxels}`]];
    if (pack.own) choices.push(["own", `the scan's own, ${pack.own.voxels}`]);
    const select = find("#viewer-voxels select");
    select.replaceChildren(...choices.map(([value, textContent]) => made("option", {value, textContent})));
    select.value = showsOwn ? "own" : "grid";
    find("#viewer-voxels").hidden = !pack.own;
    find("#viewer-voxels-note").textContent = !showsOwn ? pack.own_note : `${pack.own.stands_for} as it was given, ` +
      "laid in atlas space: slices are along its own axes. All other layers stay on the slice grid.";
  }

  function asVolume(one) {
    return niivue.NVImage.loadFromBase64({
      base64: one.nifti, name: `${one.name}.nii.gz`, opacity: one.on ? one.opacity : 0,
      colormap: COLOURS[one.kind] ? `of-${one.kind}` : "gray", cal_min: one.low, cal_max: one.high,
    }).then((volume) => {
      // Colours start at 0 whatever the threshold is. NiiVue 0.69 takes 2 for "transparent below it".
      if (one.kind === "map") volume.colormapType = 2;
      return volume;
    });
  }

  function firstPlace() {
    const first = Object.values(approach.components)[0];
    return first ?? viewer.frac2mm([0.5, 0.5, 0.5], 0, true);
  }

  function moveTo(place) {
    viewer.scene.crosshairPos = viewer.mm2frac([...place].slice(0, 3), 0, true);
    viewer.drawScene();
    viewer.createOnLocationChange();
  }

  function tellPlace(location) {
    const mm = [...location.mm].slice(0, 3).map((one) => one.toFixed(0).replace("-", "−"));
    const values = layers.filter((one) => one.kind !== "detection" && one.kind !== "truth").map((one) => {
      const found = location.values.find((value) => value.id === one.volume.id);
      return found ? `${one.name} ${found.value.toPrecision(3)}` : "";
    });
    find("#viewer-place").textContent = `x ${mm[0]}, y ${mm[1]}, z ${mm[2]} mm: ${values.filter(Boolean).join(", ")}`;
  }

  function showLayers() {
    find("#viewer-layers").replaceChildren(...layers.map((one) => {
      const box = made("input", {type: "checkbox", checked: one.on});
      const opacity = made("input", {type: "range", min: 0, max: 1, step: 0.05, value: one.opacity,
        ariaLabel: `Opacity of ${one.name}`});
      const apply = () => {
        one.on = box.checked;
        one.opacity = Number(opacity.value);
        viewer.setOpacity(viewer.volumes.indexOf(one.volume), one.on ? one.opacity : 0);
      };
      one.turn = (on) => {
        if (one.on === on) return;
        box.checked = on;
        apply();
      };
      box.addEventListener("change", apply);
      opacity.addEventListener("input", apply);
      const swatch = made("span", {className: "swatch"});
      const colours = COLOURS[one.kind] ?? ["#000000", "#ffffff"];
      swatch.style.background = one.kind === "detection" && !layers.some((other) => other.kind === "truth")
        ? MARKED[1] : one.kind === "truth" ? TRUTH[0] : `linear-gradient(to right, ${colours.join(", ")})`;
      return made("li", {}, made("label", {}, box, swatch, one.name), opacity);
    }));
  }

  // Thresholds
  function map() {
    return layers.find((one) => one.kind === "map");
  }

  // The scale ends where the map does; rules that lie close together there get most of it.
  function ends() {
    const values = approach.rules.map((one) => one.value).filter((one) => one !== null);
    const end = Math.max(map().high, ...values) || 1;
    const begin = values.length ? Math.max(0, 2 * Math.min(...values) - end) : 0;
    return [begin < end ? begin : 0, end];
  }

  function showRules() {
    const [begin, end] = ends();
    viewer.addColormap("of-map", colourMap(COLOURS.map, begin / end));
    map().volume.cal_max = end;
    Object.assign(slider, {min: begin, max: end, step: (end - begin) / 500});
    find(".ends").replaceChildren(...[begin, end].map((one) => made("span", {textContent: one.toPrecision(3)})));
    find(".marks").replaceChildren(...approach.rules.filter((one) => one.value !== null).map((one) => {
      const mark = made("span", {title: one.label});
      mark.style.left = `${100 * (one.value - begin) / (end - begin)}%`;
      return mark;
    }));
    find(".rules").replaceChildren(...approach.rules.map((one) => {
      const button = made("button", {type: "button", textContent: one.label});
      button.addEventListener("click", () => take(one));
      return button;
    }));
    const used = approach.rules.find((one) => one.used) ?? approach.rules[0];
    setThreshold(approach.rules.find((one) => one.value !== null)?.value ?? begin);
    if (used) take(used);
  }

  // What has no threshold is seen in the layer of detections, where it was used.
  function take(rule) {
    const split = rule.value === null;
    if (!split) setThreshold(rule.value, rule);
    if (!split || rule.used) {
      map().turn(!split);
      layers.find((one) => one.kind === "detection")?.turn(split);
    }
    if (split) {
      press(rule);
      find("#viewer-words").textContent = rule.words;
    }
  }

  function press(rule) {
    [...find(".rules").children].forEach((button, place) => {
      button.setAttribute("aria-pressed", String(approach.rules[place] === rule));
    });
  }

  let waiting = false;
  function setThreshold(value, rule = null) {
    threshold = value;
    slider.value = value;
    press(rule);
    slider.setAttribute("aria-valuetext", value.toPrecision(3));
    find("#viewer-words").textContent = `${rule ? rule.words : `Scores above ${value.toPrecision(3)}: the place of no rule.`} ` +
      `Here ${above(value).toFixed(1)} ml lie above, small pieces included.`;
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      // A threshold of 0 would show all that is 0.
      map().volume.cal_min = Math.max(threshold, 1e-6);
      viewer.updateGLVolume();
    });
  }

  function above(value) {
    const {hdr, img} = map().volume;
    let count = 0;
    for (const step of img) if (step * hdr.scl_slope + hdr.scl_inter > value) count += 1;
    return count * approach.voxel_ml;
  }

  start().catch((error) => refuse(`it could not start (${error.message ?? error}).`));
})();
