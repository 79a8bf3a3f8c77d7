/**
 * The right to control sessions in the name of their runtime. That somebody holds one is the whole permission check, so nobody can make
 * one but the mint it comes from, and no mint takes another's.
 */

/** Not to be had outside of this file. */
const MINTING = Symbol("minting");

let make!: (mint: AuthorityMint) => MachineSessionControlAuthority;
let mintOf!: (value: object) => AuthorityMint | undefined;

export class MachineSessionControlAuthority {
  readonly #mint: AuthorityMint;

  private constructor(minting: symbol, mint: AuthorityMint) {
    if (minting !== MINTING) throw new TypeError("an authority comes from controlAuthority() of a runtime adapter");
    this.#mint = mint;
  }

  static {
    make = (mint) => new MachineSessionControlAuthority(MINTING, mint);
    mintOf = (value) => (#mint in value ? value.#mint : undefined);
  }
}

/** Of one runtime adapter. */
export class AuthorityMint {
  mint(): MachineSessionControlAuthority {
    return make(this);
  }

  /** @returns whether it was minted here, whatever it is */
  isOwn(value: unknown): boolean {
    return typeof value === "object" && value !== null && mintOf(value) === this;
  }
}
