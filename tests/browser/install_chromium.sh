#!/bin/sh
# Installs Chromium from Debian's or Ubuntu's packages where it is missing; the browser tests need it.
set -eu
for name in chromium chromium-browser google-chrome; do
  if command -v "$name" >/dev/null 2>&1; then
    echo "$name is installed: $("$name" --version 2>/dev/null)"
    exit 0
  fi
done
if ! command -v apt-get >/dev/null 2>&1; then
  echo "Chromium is missing and there is no apt-get here: install Chromium yourself and set CHROMIUM to its path" >&2
  exit 1
fi
if [ "$(id -u)" -eq 0 ]; then
  as_root=""
elif command -v sudo >/dev/null 2>&1; then
  as_root="sudo"
else
  echo "Chromium is missing: run 'apt-get install -y chromium' as root (there is no sudo here)" >&2
  exit 1
fi
$as_root apt-get update -qq
DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y --no-install-recommends chromium fonts-dejavu-core
