// A picture from the webcam, taken in a dialog.

import { byId, button, el, fault } from "../parts/dom.js";
import { t } from "../parts/texts.js";

const QUALITY = 0.92; // of the JPEG

// Shows the button while the device has a camera, and passes on the pictures taken with it.
export async function offer(pressed, take) {
  const devices = navigator.mediaDevices; // only on this machine, and over HTTPS
  if (!devices?.enumerateDevices) return;
  const look = async () => {
    const found = await devices.enumerateDevices();
    pressed.hidden = !found.some(({ kind }) => kind === "videoinput");
  };
  pressed.addEventListener("click", async () => {
    const file = await photographed();
    if (file) take([file]);
  });
  devices.addEventListener("devicechange", look);
  await look();
}

// The picture, or null if the user closed the dialog.
async function photographed() {
  const video = el("video", { autoplay: true, playsinline: true, "aria-label": t("webcam.picture") });
  video.muted = true;
  const report = el("div");
  const dialog = el("dialog", { class: "webcam", "aria-labelledby": "webcam-heading" });
  const shoot = button(t("webcam.take"), () => dialog.close("taken"), { class: "first", disabled: true });
  const buttons = el("p", { class: "buttons" }, shoot, button(t("page.cancel"), () => dialog.close("")));
  dialog.append(el("h2", { id: "webcam-heading" }, t("webcam.heading")), video, report, buttons);
  byId("main").append(dialog);
  dialog.showModal();
  const closed = new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  const stream = await opened(report);
  video.srcObject = stream;
  video.addEventListener("loadeddata", () => (shoot.disabled = false));
  await closed;
  const file = dialog.returnValue === "taken" ? await still(video) : null;
  stream?.getTracks().forEach((track) => track.stop());
  dialog.remove();
  return file;
}

async function opened(report) {
  try {
    return await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1280 } } });
  } catch (error) {
    const isDenied = error.name === "NotAllowedError";
    report.append(fault({ message: t(isDenied ? "webcam.denied" : "webcam.failed") }));
    return null;
  }
}

async function still(video) {
  const canvas = el("canvas", { width: video.videoWidth, height: video.videoHeight });
  canvas.getContext("2d").drawImage(video, 0, 0);
  const content = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));
  return new File([content], t("webcam.name"), { type: content.type });
}
