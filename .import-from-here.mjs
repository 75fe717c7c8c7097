export default (name) => import(name)
