"""Model files and checkpoints: a safetensors container, replaced atomically, that never runs code on load."""

from fastconv.saving.archive import Archive, load_archive, save_archive

__all__ = ["Archive", "load_archive", "save_archive"]
