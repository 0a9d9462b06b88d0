{
  description = "SPLADE sparse retrieval: train, encode, index, search and evaluate";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixpkgs-unstable";
    rust-overlay = {
      url = "github:oxalica/rust-overlay";
      inputs.nixpkgs.follows = "nixpkgs";
    };
  };

  outputs =
    {
      self,
      nixpkgs,
      rust-overlay,
    }:
    let
      systems = [
        "x86_64-linux"
        "aarch64-linux"
        "aarch64-darwin"
        "x86_64-darwin"
      ];
      each = make: nixpkgs.lib.genAttrs systems (system: make (import nixpkgs {
        inherit system;
        overlays = [ rust-overlay.overlays.default ];
      }));
      manifest = (nixpkgs.lib.importTOML ./Cargo.toml).workspace.package;
      # The version that the project is tested with.
      rust = pkgs: pkgs.rust-bin.stable.${manifest.rust-version + ".0"}.default;
    in
    {
      packages = each (pkgs: {
        default =
          (pkgs.makeRustPlatform {
            cargo = rust pkgs;
            rustc = rust pkgs;
          }).buildRustPackage
            {
              pname = "light-splade";
              inherit (manifest) version;
              src = self;
              cargoLock.lockFile = ./Cargo.lock;
              buildType = "dist";
              cargoBuildFlags = [
                "--bin"
                "light-splade"
              ];
              # They read folders of the repository and start servers; CI runs them.
              doCheck = false;
              meta = {
                description = "SPLADE sparse retrieval from the command line, without Python";
                homepage = manifest.repository;
                license = nixpkgs.lib.licenses.asl20;
                mainProgram = "light-splade";
              };
            };
      });

      devShells = each (pkgs: {
        default = pkgs.mkShell { packages = [ (rust pkgs) ]; };
      });
    };
}
