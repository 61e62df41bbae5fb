// Uppy's words in ours.
import { t } from "./strings.js";

const count = () => ({ 0: t("up_one"), 1: t("up_many") });

/** `reading`: large files are being read, and nothing is on its way yet. */
export const locale = ({ reading = false } = {}) => ({
  strings: {
    dropPasteBoth: t("up_drop_both"),
    dropPasteFiles: t("up_drop_files"),
    browseFiles: t("up_files"),
    browseFolders: t("up_folders"),
    dropHint: t("up_hint"),
    dashboardTitle: t("uploads_title"),
    addMore: t("up_add"),
    addMoreFiles: t("up_add"),
    addingMoreFiles: t("up_add"),
    removeFile: t("up_remove"),
    cancelUpload: t("up_cancel"),
    pause: t("up_pause"),
    resume: t("up_resume"),
    paused: t("up_paused"),
    pauseUpload: t("up_pause"),
    resumeUpload: t("up_resume"),
    uploading: t(reading ? "uploads_reading" : "up_uploading"),
    uploadComplete: t("up_file_done"),
    complete: t("up_complete"),
    uploadFailed: t("up_failed"),
    done: t("up_done"),
    cancel: t("cancel"),
    uploadingXFiles: { 0: `${t("up_uploading")} ${t("up_one")}`, 1: `${t("up_uploading")} ${t("up_many")}` },
    processingXFiles: count(),
    xFilesSelected: count(),
    showErrorDetails: t("up_details"),
    takePictureBtn: t("up_photo"),
    recordVideoBtn: t("up_video"),
  },
});
