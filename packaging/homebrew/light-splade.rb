# A formula for a tap. `packaging/homebrew/update VERSION SHA256SUMS` writes the version and the checksums of a release.
class LightSplade < Formula
  desc "SPLADE sparse retrieval: train, encode, index, search and evaluate"
  homepage "https://github.com/light-splade/light-splade"
  version "0.1.0"
  license "Apache-2.0"

  on_macos do
    on_arm do
      url "https://github.com/light-splade/light-splade/releases/download/v0.1.0/light-splade-0.1.0-aarch64-apple-darwin.tar.gz"
      sha256 "0000000000000000000000000000000000000000000000000000000000000000"
    end
    on_intel do
      url "https://github.com/light-splade/light-splade/releases/download/v0.1.0/light-splade-0.1.0-x86_64-apple-darwin.tar.gz"
      sha256 "0000000000000000000000000000000000000000000000000000000000000000"
    end
  end

  on_linux do
    on_arm do
      url "https://github.com/light-splade/light-splade/releases/download/v0.1.0/light-splade-0.1.0-aarch64-unknown-linux-musl.tar.gz"
      sha256 "0000000000000000000000000000000000000000000000000000000000000000"
    end
    on_intel do
      url "https://github.com/light-splade/light-splade/releases/download/v0.1.0/light-splade-0.1.0-x86_64-unknown-linux-musl.tar.gz"
      sha256 "0000000000000000000000000000000000000000000000000000000000000000"
    end
  end

  def install
    bin.install "light-splade"
    doc.install "licences", "README.md", "CHANGELOG.md"
  end

  test do
    assert_match "首都", shell_output("#{bin}/light-splade encode --top-k 3 -t 日本の首都は東京です。")
  end
end
