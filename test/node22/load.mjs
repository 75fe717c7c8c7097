// Stands beside the packages, so that their names lead to them.
export const load = (name) => import(name)
